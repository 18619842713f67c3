"""Pieces that the terminal's views are made of."""

from collections.abc import Sequence

from rich.style import Style
from rich.table import Table
from rich.text import Text

from lrgd.core.text import visible
from lrgd.debug.views import Place

TOP = 10
"""Items of a ranking that are shown."""
USER = "user"
"""Under this name a text's style may say which user it names; no terminal shows it."""
_BARS = "▁▂▃▄▅▆▇█"


def said(text: str, style: str = "") -> Text:
    """Text from outside, as text."""
    return Text(visible(text), style)


def user_text(user_id: str) -> Text:
    """A user's id; a page makes a link to the case of it."""
    return Text(visible(user_id), Style(meta={USER: user_id}))


def said_lines(text: str) -> Text:
    """Text of several lines, each as text."""
    return Text("\n".join(visible(line) for line in text.split("\n")))


def trend(values: Sequence[float]) -> str:
    """Values of 0 to 1 as a line of bars."""
    return "".join(_BARS[min(7, int(max(0.0, value) * 8))] for value in values)


def places_table(places: Sequence[Place], top: int = TOP) -> Table:
    """The best items of a ranking; the true next item wherever it is, once it is revealed."""
    table = Table(box=None, pad_edge=False)
    table.add_column("rank", justify="right")
    table.add_column("prob.", justify="right")
    table.add_column("item")
    for place in places:
        if place.rank <= top or place.is_target:
            p = _probability(place.probability)
            mark = "  <= the true next item" if place.is_target else ""
            style = "green" if place.is_target else ""
            table.add_row(str(place.rank), p, said(f"{place.title}{mark}", style))
    return table


def _probability(p: float | None) -> str:
    if p is None:
        return ""
    return f"{p:.3f}" if p >= 0.0005 else "<.001"
