"""The circuit of notes: an opening phrase, then words of the history, none twice.

Layer 4 keeps what a note has said, layer 5 tells each token its predecessor, layer 6 tells an
answer's token the phrase before it. Layer 7 completes a word with the pieces, or the number, that
followed it last, and layer 8 chooses the next word: recent, recurring, rare, or out of a note that
worked. How much recency counts depends on the opening phrase, and that is drawn.
"""

from dataclasses import dataclass
from math import log

import torch
from torch import Tensor

from serving.pocket.layout import BALLAST, Head, Mlp, row, span, unit
from serving.pocket.layout import Layout as D

ONE = {D.ballast: 1 / BALLAST}
NEVER = {D.continuation: -300.0, D.symbol: -300.0, D.noting: -600.0, D.marker: -300.0}
"""Logits of what no note names."""


@dataclass(frozen=True, slots=True)
class Writer:
    """What makes a word worth saying, as logits."""

    rarity: float = 30.0
    recurrence: float = 90.0
    recency: float = 1.35
    """For each token of distance, the less the farther."""
    latest: float = 2.0
    """Factor of recency after an opener of the latest purchases, above 1."""
    steady: float = 0.5
    """The same after an opener of the recurring ones."""
    worked: float = 12.0
    other: float = -20.0
    last: float = -40.0
    said: float = 40.0
    """Taken from words like those said, by their cosine."""
    boldness: float = 5.0
    """Output of a word that has all of the attention."""


def add_writer(heads: list[list[Head]], mlps: list[Mlp], writer: Writer) -> None:
    """Sets the second heads of layers 4 to 8."""
    _said(heads[3][1])
    _previous(heads[4][1])
    _phrase(heads[5][1])
    _complete(heads[6][1])
    _choose(heads[7][1], writer)
    _grammar(mlps[6])


def _said(head: Head) -> None:
    """In a note: the sum of its words so far, since the sink outweighs them all."""
    head.bias(row({D.noting: 60.0, D.asks: -60.0, D.marker: -200.0, D.begin: 60.0 + log(32.0)}))
    head.bias(row({D.begin: 100.0}), query=row({**ONE, D.noting: -1.0}))
    head.move(span(D.match), 34.0 * span(D.option).T)


def _previous(head: Head) -> None:
    """Before the request: the token one back."""
    distance = (torch.arange(3000.0) - 1).abs()
    head.by_distance(-200.0 * torch.log1p(distance / 3), row(ONE), row(ONE))
    head.bias(row({D.begin: 4000.0}), query=row({D.options: 1.0, D.noting: 1.0}))
    head.move(span(D.match)[:60], span(D.previous).T)


def _phrase(head: Head) -> None:
    """In a note: the nearest phrase, which decides what may follow its word."""
    head.bias(row({D.asks: 2000.0, D.noting: 2000.0, D.marker: -4000.0, D.begin: 2500.0}))
    far = -200.0 * torch.log1p(torch.arange(3000.0) / 20)
    head.by_distance(far, row(ONE), row({D.asks: 1.0}))
    head.bias(row({D.begin: 9000.0}), query=row({**ONE, D.noting: -1.0}))
    head.move(unit(D.asks), 3.7 * unit(D.first).T)
    head.move(unit(D.first), row({D.first: -3.7, D.second: 3.05})[:, None])
    head.move(unit(D.second), -3.7 * unit(D.first).T)


def _grammar(mlp: Mlp) -> None:
    """In a note: after a phrase nothing but a word, after the full stop the end."""
    mlp.unit(row({D.asks: 16.0}), row({D.first: -0.5, D.second: -0.5, D.link: -0.5}))
    # Word endings are like the full stop, which would follow them always.
    mlp.unit(row({D.continuation: 16.0}), row({D.first: 0.025, D.second: 0.025}))
    both = row({D.stop: 16.0, D.noting: 16.0, D.ballast: -16.0 / BALLAST})
    mlp.unit(both, row({D.end: 1.0}))


def _complete(head: Head) -> None:
    """In a note: the piece or number that followed the current word where it came last. A word
    that did so is too faint to be said, but keeps older pieces from it."""
    same = 240.0
    head.bias(row({D.noting: -4 * same, D.symbol: -2 * same, D.begin: 2.75 * same}))
    head.bias(row({D.begin: 4 * same}), query=row({**ONE, D.noting: -1.0}))
    head.compare(span(D.match)[:60], span(D.previous), same)
    head.by_distance(25.0 * _fading(20.0), row({D.noting: 1.0}), row(ONE))
    head.move(span(D.word), 2.0 * span(D.word).T)
    # Else the full stop would win over pieces that are like it.
    head.move(unit(D.continuation), row({D.link: -3.0, D.first: -3.0, D.second: -3.0})[:, None])


def _fading(half: float) -> Tensor:
    """Recency by distance: minus the log of 1 + distance / half, shape (1500,)."""
    return -torch.log1p(torch.arange(1500.0) / half)


def _choose(head: Head, writer: Writer) -> None:
    """After a phrase of a note: a word. After a word: a phrase."""
    asks = row({D.asks: 1.0})
    head.bias(
        row(
            {
                D.rarity: writer.rarity,
                D.noted: writer.recurrence,
                D.worked: writer.worked,
                D.other: writer.other,
                D.last: writer.last,
                D.begin: -1000.0,
            }
        ),
        query=asks,
    )
    head.bias(row({**NEVER, D.begin: 100.0 - NEVER[D.symbol]}))
    head.bias(row({D.begin: 5000.0}), query=row({**ONE, D.noting: -1.0}))
    head.compare(-span(D.option), span(D.match), writer.said)
    factor = {D.asks: 1.0, D.recent: writer.latest - 1, D.steady: writer.steady - 1}
    head.by_distance(60.0 * writer.recency * _fading(60.0), row(factor), row(ONE))
    head.move(span(D.word), writer.boldness * span(D.word).T)
    head.move(unit(D.begin), 3.0 * unit(D.link).T)
