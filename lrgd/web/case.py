"""The case as HTML: where the graph stands, trends, demonstrations, ranking, history."""

from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from lrgd.agents.guard import Judgement
from lrgd.debug.views import CaseView
from lrgd.web.html import plain
from lrgd.web.plots import Rounds, as_image, effect_plot, similarity_plot

PATH_NODES = ("generator", "recommender", "evaluator")
NODES = ("begin", *PATH_NODES, "collapse_guard", "choose")
"""The nodes of the optimisation graph, in their order; a path has the middle ones."""

TOP = 10

_templates = Environment(
    loader=PackageLoader("lrgd.web"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)
_templates.filters["plain"] = lambda text: Markup(plain(str(text)))


def case_html(case: CaseView, similarities: Rounds, threshold: float) -> str:
    """The whole panel, safe to insert.

    Args:
        similarities: the guard's cosines by path.
        threshold: cosine from which the guard calls two demonstrations copies.
    """
    plots = _plots(case, similarities, threshold)
    return _templates.get_template("case.html").render(
        case=case, nodes=NODES, path_nodes=PATH_NODES, plots=plots, top=TOP
    )


def similarity_by_round(judgements: Sequence[Judgement], rounds: int) -> Rounds:
    """The guard's cosines by path, one a round."""
    found: dict[int, list[float | None]] = {}
    for judged in judgements:
        found.setdefault(judged.path, [None] * rounds)[judged.round - 1] = judged.similarity
    return found


def _plots(case: CaseView, similarities: Rounds, threshold: float) -> list[Markup]:
    effects = {path.index: path.effects for path in case.paths if path.effects}
    plots = []
    if effects:
        told = f"Effect_D by round. {_in_words(effects)}"
        plots.append(Markup(as_image(effect_plot(effects, case.rounds), told)))
    if any(value is not None for by_round in similarities.values() for value in by_round):
        told = f"Cosine to the demonstration before, by round. {_in_words(similarities)}"
        plot = similarity_plot(similarities, case.rounds, threshold)
        plots.append(Markup(as_image(plot, told)))
    return plots


def _in_words(values: Rounds) -> str:
    def told(by_round: Sequence[float | None]) -> str:
        return ", ".join("none" if value is None else f"{value:.2f}" for value in by_round)

    return "; ".join(f"path {path}: {told(by_round)}" for path, by_round in values.items())
