"""The report's plots: quality and similarity by round, collapse, and claim 2."""

from collections.abc import Callable, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lrgd.agents.guard import Judgement
from lrgd.evals.data.draws import generator
from lrgd.evals.metrics import MAIN_METRIC
from lrgd.evals.report.correlation import DemonstrationSet
from lrgd.evals.report.rounds import RoundMeans, judgements, round_means
from lrgd.evals.runs.folder import UserRecord

BLUE, ORANGE, RED, GREY = "#2563a8", "#d9822b", "#c0392b", "#9aa5b1"


def quality_plot(records: Sequence[UserRecord]) -> Figure:
    """Mean Effect_D and nDCG@10 on the validation task by round."""
    rows = round_means(records)
    figure, axes = canvas("Effect_D and nDCG@10 by round")
    x = [row.round for row in rows]
    axes.plot(x, [r.best_effect for r in rows], "o-", color=BLUE, label="Effect_D, best so far")
    axes.plot(x, [r.best_ndcg for r in rows], "s-", color=ORANGE, label="nDCG@10, best so far")
    written = "written in this round"
    axes.plot(
        x, [r.effect for r in rows], "o--", color=BLUE, alpha=0.45, label=f"Effect_D, {written}"
    )
    axes.plot(
        x, [r.ndcg for r in rows], "s--", color=ORANGE, alpha=0.45, label=f"nDCG@10, {written}"
    )
    axes.set_xticks(x, [f"{r.round}\n{r.running} paths" for r in rows])
    axes.set(xlabel="round (paths still running)", ylabel="mean, validation task", ylim=(0, 1.02))
    return with_legend(figure)


def similarity_plot(records: Sequence[UserRecord], threshold: float) -> Figure:
    """Cosine of consecutive demonstrations by round, collapses and perturbations marked."""
    figure, axes = canvas("Consecutive demonstrations: how alike, and when the guard stepped in")
    rng = generator("jitter")
    groups: dict[str, tuple[str, str, Callable[[Judgement], bool]]] = {
        "no collapse": (GREY, "o", lambda j: not j.collapsed),
        "collapse, not perturbed": (RED, "o", lambda j: j.collapsed and j.source is None),
        "collapse, perturbed next round": (
            RED,
            "^",
            lambda j: j.collapsed and j.source is not None,
        ),
    }
    judged = list(judgements(records))
    for name, (colour, marker, belongs) in groups.items():
        points = [j for j in judged if belongs(j)]
        x = [j.round + 0.3 * (rng.random() - 0.5) for j in points]
        y = [j.similarity or 0.0 for j in points]
        label = f"{name} ({len(points)})"
        axes.scatter(x, y, s=22, c=colour, marker=marker, alpha=0.75, label=label)
    axes.axhline(threshold, color=BLUE, linewidth=1, linestyle=":", label=f"threshold {threshold}")
    axes.set_xticks(sorted({j.round for j in judged}))
    axes.set(xlabel="round", ylabel="cosine to the demonstration before", ylim=(None, 1.03))
    return with_legend(figure)


def collapse_plot(runs: Mapping[str, Sequence[RoundMeans]]) -> Figure:
    """Similarity of consecutive demonstrations and nDCG@10 by round, run by run: figure 9."""
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for (name, rows), colour in zip(runs.items(), (BLUE, RED), strict=False):
        pairs = [(row.round, row.similarity) for row in rows if row.similarity is not None]
        left.plot(*zip(*pairs, strict=True), "o-", color=colour, label=name)
        right.plot([r.round for r in rows], [r.best_ndcg for r in rows], "o-", color=colour)
    for axes, title in ((left, "Cosine to the one before"), (right, "nDCG@10, best so far")):
        _style(axes, title)
        axes.set(xlabel="round")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return with_legend(figure)


def correlation_plot(sets: Sequence[DemonstrationSet]) -> Figure:
    """Demonstration sets: validation Effect_D against test nDCG@10, the paper's claim 2."""
    figure, axes = canvas("Demonstration sets: validation against test")
    for each in sets:
        axes.scatter(each.effect, each.ndcg, color=BLUE, s=26)
        axes.annotate(
            each.method, (each.effect, each.ndcg), (4, 4), textcoords="offset points", size=7
        )
    axes.set(xlabel="mean Effect_D, validation task", ylabel=f"mean {MAIN_METRIC}, test task")
    axes.margins(x=0.25)
    return figure


def canvas(title: str) -> tuple[Figure, Axes]:
    """An empty plot in the project's style."""
    # A Figure of its own, not pyplot: no global state, no display.
    figure = Figure(figsize=(7, 4.4), layout="constrained")
    axes = figure.add_subplot()
    _style(axes, title)
    return figure, axes


def _style(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.25)


def with_legend(figure: Figure) -> Figure:
    """The figure with its legend."""
    # Below the axes: inside, it covers points.
    figure.legend(loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    return figure
