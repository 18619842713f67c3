"""The case as HTML: where the graph stands, trends, demonstrations, ranking, history."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from html import escape
from io import BytesIO

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from lrgd.agents.guard import Judgement
from lrgd.debug.views import CaseView
from lrgd.evals.report.plots import BLUE, GREY, ORANGE, RED, canvas
from lrgd.web.html import escaped

PATH_NODES = ("generator", "recommender", "evaluator")
NODES = ("begin", *PATH_NODES, "collapse_guard", "choose")
"""The nodes of the optimisation graph, in their order; a path has the middle ones."""

TOP = 10

LINES = ((BLUE, "o-"), (ORANGE, "s--"), (RED, "^:"), (GREY, "D-."))
"""Colour and marker of each path; the markers alone tell paths apart, too."""

Rounds = Mapping[int, Sequence[float | None]]
"""By path, one value a round from the first on; None where there is none."""

_templates = Environment(
    loader=PackageLoader("lrgd.web"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)
_templates.filters["escaped"] = lambda text: Markup(escaped(str(text)))


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
    by_path: dict[int, list[float | None]] = {}
    for judged in judgements:
        by_path.setdefault(judged.path, [None] * rounds)[judged.round - 1] = judged.similarity
    return by_path


def _plots(case: CaseView, similarities: Rounds, threshold: float) -> list[Markup]:
    effects = {path.index: path.effects for path in case.paths if path.effects}
    plots = []
    if effects:
        told = f"Effect_D by round. {_in_words(effects)}"
        plots.append(Markup(_as_image(_effect_plot(effects, case.rounds), told)))
    if any(value is not None for by_round in similarities.values() for value in by_round):
        told = f"Cosine to the demonstration before, by round. {_in_words(similarities)}"
        plot = _similarity_plot(similarities, case.rounds, threshold)
        plots.append(Markup(_as_image(plot, told)))
    return plots


def _in_words(values: Rounds) -> str:
    def told(by_round: Sequence[float | None]) -> str:
        return ", ".join("none" if value is None else f"{value:.2f}" for value in by_round)

    return "; ".join(f"path {path}: {told(by_round)}" for path, by_round in values.items())


def _effect_plot(effects: Rounds, rounds: int) -> Figure:
    """Effect_D by round."""
    return _trend("Effect_D by round", effects, rounds)


def _similarity_plot(similarities: Rounds, rounds: int, threshold: float) -> Figure:
    """Cosine of consecutive demonstrations by round, with the guard's threshold."""
    figure = _trend("Similarity to the one before", similarities, rounds)
    figure.axes[0].axhline(threshold, color="black", linewidth=0.8, linestyle=":")
    return figure


def _trend(title: str, values: Rounds, rounds: int) -> Figure:
    figure, axes = canvas(title)
    figure.set_size_inches(3.4, 2.1)
    for path, by_round in values.items():
        points = [(n, value) for n, value in enumerate(by_round, 1) if value is not None]
        colour, mark = LINES[path % len(LINES)]
        if points:
            x, y = zip(*points, strict=True)
            axes.plot(x, y, mark, color=colour, label=f"path {path}")
    axes.set(ylim=(0, 1.05), xlim=(0.7, rounds + 0.3))
    axes.set_xticks(range(1, rounds + 1))
    figure.legend(loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    return figure


def _as_image(figure: Figure, described: str) -> str:
    """A plot as an <img> that needs no second request."""
    drawn = BytesIO()
    figure.savefig(drawn, format="svg")
    data = b64encode(drawn.getvalue()).decode()
    return f'<img alt="{escape(described)}" src="data:image/svg+xml;base64,{data}">'
