"""The case's trends as plots: Effect_D and similarity by round, one line a path."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from html import escape
from io import BytesIO

from matplotlib.figure import Figure

from lrgd.evals.report.plots import BLUE, GREY, ORANGE, RED, canvas

LINES = ((BLUE, "o-"), (ORANGE, "s--"), (RED, "^:"), (GREY, "D-."))
"""Colour and mark of each path: told apart without colour, too."""

Rounds = Mapping[int, Sequence[float | None]]
"""By path, one value a round from the first on; None where there is none."""


def effect_plot(effects: Rounds, rounds: int) -> Figure:
    """Effect_D by round."""
    return _trend("Effect_D by round", effects, rounds)


def similarity_plot(similarities: Rounds, rounds: int, threshold: float) -> Figure:
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


def as_image(figure: Figure, described: str) -> str:
    """A plot as an <img> that needs no second request."""
    drawn = BytesIO()
    figure.savefig(drawn, format="svg")
    data = b64encode(drawn.getvalue()).decode()
    return f'<img alt="{escape(described)}" src="data:image/svg+xml;base64,{data}">'
