"""The circuit of written lists: the best option not yet listed, copied token by token.

A line number first finds the option that the line before it copied (layer 5: the title whose
words have the nearest sum), every token of the answer then knows what is listed (layer 6),
chooses among the rest (layer 7), and copies the chosen title's token at the next place, or
goes on to the next number where the title has ended (layer 8).
"""

from serving.pocket.layout import (
    BALLAST,
    MAX_LINES,
    MAX_OPTIONS,
    NUMBER_AXES,
    OPTION_AXES,
    Head,
    Mlp,
    embed,
    row,
    span,
    turned,
    unit,
)
from serving.pocket.layout import Layout as D

KNOWN = 16.0
"""Length of a listed option's axis."""


def add_listing(heads: list[list[Head]], mlps: list[Mlp]) -> None:
    """Sets the parts of layers 4 to 8 that lists need."""
    _square(mlps[3])
    _last_line(heads[4][0])
    _listed(heads[5][0])
    _choose(heads[6][0])
    _finish(mlps[6])
    _copy(heads[7][0])


def _square(mlp: Mlp) -> None:
    for dim in range(D.match.start, D.match.stop):
        for sign in (1.0, -1.0):
            mlp.unit(row({dim: sign}), row({D.square: 1.0}), up=row({dim: sign}))


def _last_line(head: Head) -> None:
    """Logit: minus half the squared distance of the sums of words, up to a constant."""
    near = 2_000.0
    head.compare(span(D.match), span(D.match), near)
    head.bias(row({D.square: -near / 2, D.counted: 4 * near, D.number: -8 * near}))
    head.bias(row({D.begin: 20 * near}), query=row({D.ballast: 1 / BALLAST, D.number: -1.0}))
    head.bias(row({D.begin: 20 * near}), query=row({NUMBER_AXES.start: 1.0}))
    head.move(span(OPTION_AXES), KNOWN * span(OPTION_AXES).T)


def _listed(head: Head) -> None:
    head.bias(row({D.number: 60.0, D.begin: 30.0}))
    head.bias(row({D.begin: 60.0}), query=row({D.ballast: 1 / BALLAST, D.listing: -1.0}))
    head.move(span(OPTION_AXES), span(OPTION_AXES).T)


def _choose(head: Head) -> None:
    """After a list's request: the option of the highest average, the later of two equals."""
    best = 10_000.0
    listing = row({D.listing: 1.0})
    head.bias(row({D.average: best, D.index: 8.0 * MAX_OPTIONS}), query=listing)
    ends = {D.options: 4 * best, D.counted: 4 * best, D.number: -4 * best}
    head.bias(row(ends), query=listing)
    head.compare(span(OPTION_AXES), span(OPTION_AXES), -4.0 * best)
    head.move(span(D.segment), span(D.pointer).T)


def _finish(mlp: Mlp) -> None:
    """On the last line that was asked for: no further number, but the end."""
    line = 16.0 * MAX_LINES
    last = row({D.index: line, D.limit: -line, D.listing: 8.0, D.number: -800.0})
    mlp.unit(last, row({D.end: 1 / 64}))


def _copy(head: Head) -> None:
    sure = 158.0
    head.compare(span(D.pointer), span(D.segment), sure)
    head.compare(embed(turned(), D.offset), span(D.offset), sure)
    head.bias(row({D.begin: 2.75 * sure, D.options: sure, D.listing: -10 * sure}))
    quiet = row({D.ballast: 1 / BALLAST, D.listing: -1.0, D.assistant: 1.0})
    head.bias(row({D.begin: 10 * sure}), query=quiet)
    head.move(span(D.word), 4.0 * span(D.word).T)
    head.move(unit(D.counted), 8.0 * unit(D.line).T)
