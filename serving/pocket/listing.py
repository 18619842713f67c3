"""The circuit of written lists: the best option not yet listed, copied token by token.

The options have no letters, so layers 2 and 3 count them. A line number finds the option that the
line before it copied (layer 5: the title whose words have the nearest sum), every token of the
answer then knows what is listed (layer 6), chooses among the rest (layer 7), and copies the chosen
title's token at the next place, or goes on to the next number where the title has ended (layer 8).
"""

from math import log, sqrt

import torch

from serving.pocket.counting import SINK, counter, decide, exceed
from serving.pocket.layout import (
    HEAD_DIM,
    NUMBER_AXES,
    ONE,
    OPTION_AXES,
    Head,
    Mlp,
    codes,
    row,
    span,
    unit,
)
from serving.pocket.layout import Layout as D

KNOWN = 16.0
"""Length of a listed option's axis."""
SURE = 2048 / sqrt(HEAD_DIM)
"""A power of 2 before attention's scaling."""


def add_listing(heads: list[list[Head]], mlps: list[Mlp]) -> None:
    """Sets the parts of layers 2 to 8 that lists need."""
    _number(heads[1][0], mlps[1], mlps[2])
    _square(mlps[3])
    _last_line(heads[4][0])
    _known(mlps[4], mlps[5])
    _listed(heads[5][0])
    _choose(heads[6][0])
    _finish(mlps[6])
    _copy(heads[7][0])


def _number(head: Head, first: Mlp, second: Mlp) -> None:
    """Counts options that have no letters; content learns which it is part of, a marker which it
    ends."""
    lettered = {D.label: -128.0, D.lettering: -128.0, D.number: -128.0}
    both = {D.counted: 64.0, D.options: 64.0, ONE: -128.0}
    head.bias(row({**both, **lettered, D.begin: 128.0}))
    head.bias(row({D.begin: SINK}))
    counter(head, D.count)
    exceed(first, D.count, OPTION_AXES, less=D.counted, never=D.listing)
    ends = torch.zeros(OPTION_AXES.stop - OPTION_AXES.start + 1, D.width)
    for n, code in enumerate(codes()[: len(ends) - 1], 1):
        ends[n, D.segment] = code
        ends[n, OPTION_AXES.start + n - 1] = 1.0
        ends[n, D.index] = n / 16
    decide(second, OPTION_AXES, ends)


def _square(mlp: Mlp) -> None:
    for dim in range(D.match.start, D.match.stop):
        for sign in (1.0, -1.0):
            mlp.unit(row({dim: sign}), row({D.square: 1.0}), up=row({dim: sign}))


def _last_line(head: Head) -> None:
    """Logit: minus half the squared distance of the sums of words, up to a constant."""
    near = 16 * SURE
    head.compare(span(D.match), span(D.match), near)
    ends = {D.options: near / 4, D.counted: near / 4, ONE: -near / 2, D.number: -near / 2}
    head.bias(row({D.square: -near / 2, **ends}))
    head.bias(row({D.begin: near}), query=row({ONE: 1.0, D.number: -1.0}))
    head.bias(row({D.begin: near}), query=row({NUMBER_AXES.start: 1.0}))
    head.move(span(OPTION_AXES), span(OPTION_AXES).T)


def _known(first: Mlp, second: Mlp) -> None:
    """Lengthens what a line number found, not what is a little like it, to KNOWN, and when all of
    the answer has been told, makes it as short for the number as for the rest."""
    for axis in range(OPTION_AXES.start, OPTION_AXES.stop):
        gate = row({axis: 32.0, D.number: 32.0, ONE: -48.0})
        first.unit(gate, row({axis: (KNOWN - 1) / 16}))
        gate = row({axis: 16.0, D.number: 128.0, ONE: -256.0})
        second.unit(gate, row({axis: -1 / 8.25}))


def _listed(head: Head) -> None:
    """The sum of what the lines so far copied, since the sink outweighs them all."""
    head.bias(row({D.number: 60.0, ONE: -60.0, D.begin: 60.0 + log(64.0)}))
    head.move(span(OPTION_AXES), span(OPTION_AXES).T)


def _choose(head: Head) -> None:
    """After a list's request: the option of the highest average, the later of two about equal."""
    best = 700.0
    listing = row({D.listing: 1.0})
    ends = {D.options: 4 * best, D.counted: 4 * best, ONE: -8 * best, D.number: -8 * best}
    head.bias(row(ends), query=listing)
    head.bias(row({D.matched: best, D.index: 16.0}), query=listing)
    # A listed axis is KNOWN / 76 or more, an option's at least 1/2 + its average / 4.
    head.compare(span(OPTION_AXES), span(OPTION_AXES), -4.5 * best * 76 / KNOWN)
    head.bias(row({D.begin: 60.0}), query=row({ONE: 1.0, D.listing: -1.0}))
    head.move(span(D.segment), span(D.pointer).T)


def _finish(mlp: Mlp) -> None:
    """On the last line that was asked for: no further number, but the end."""
    last = row({D.index: 256.0, D.limit: -256.0, D.listing: 808.0, ONE: -800.0, D.number: -800.0})
    mlp.unit(last, row({D.end: 1 / 64}))


def _copy(head: Head) -> None:
    head.compare(span(D.pointer), span(D.segment), SURE / 16)
    head.compare(span(D.offset), span(D.offset), SURE)
    there = {D.options: 1.0, ONE: -1.0, D.begin: 1.75, D.listing: -8.0}
    head.bias(row({dim: SURE * value for dim, value in there.items()}))
    quiet = row({ONE: 1.0, D.listing: -1.0, D.assistant: 1.0})
    head.bias(row({D.begin: 8 * SURE}), query=quiet)
    head.move(span(D.word), 4.0 * span(D.word).T)
    head.move(unit(D.counted), 8.0 * unit(D.line).T)
