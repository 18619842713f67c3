"""The circuit of notes: an opening phrase, then words of the history, none twice.

Layer 3 keeps what a note has said, layer 5 tells each token its predecessor, layer 6 tells an
answer's token the phrase before it. Layer 7 completes a word with the pieces, or the number, that
followed it last, and layer 8 chooses the next word: recent, recurring, rare, or out of a note that
worked. How much recency counts depends on the opening phrase, and that is drawn.
"""

from dataclasses import dataclass
from math import log

from torch import Tensor

from serving.pocket.layout import ONE, Head, Mlp, row, span, unit
from serving.pocket.layout import Layout as D

NEVER = {D.continuation: -300.0, D.symbol: -300.0, D.noting: -600.0, D.marker: -300.0}
"""Logits of what no note names."""


@dataclass(frozen=True, slots=True)
class Writer:
    """What makes a word worth saying, as logits."""

    rarity: float = 30.0
    recurrence: float = 90.0
    recency: float = 1.35
    """For each token of distance at first, less later on."""
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
    """Sets the second heads of layers 3 and 5 to 8."""
    _said(heads[2][1])
    _previous(heads[4][1])
    _phrase(heads[5][1])
    _complete(heads[6][1])
    _choose(heads[7][1], writer)
    _grammar(mlps[6])


def _said(head: Head) -> None:
    """In a note: the sum of its words so far, since the sink outweighs them all."""
    head.bias(row({D.noting: 60.0, D.asks: -60.0, D.marker: -200.0, D.begin: 60.0 + log(32.0)}))
    head.bias(row({D.begin: 100.0}), query=row({ONE: 1.0, D.noting: -1.0}))
    head.move(span(D.match)[:60], 34.0 * span(D.previous).T)


def _previous(head: Head) -> None:
    """Before the request: the token one back."""
    head.waves(dict.fromkeys(range(14), 45.0), row({ONE: 1.0}), row({ONE: 1.0}), lag=1)
    head.bias(row({D.begin: 2000.0}), query=row({D.options: 1.0, D.noting: 1.0}))
    head.move(span(D.match)[:60], span(D.previous).T)


def _phrase(head: Head) -> None:
    """In a note: the last phrase, which decides what may follow its word. An opener, a second and
    a third one come in this order."""
    order = {D.first: 15.0, D.second: 30.0}
    head.bias(row({D.asks: 256.0, D.noting: 256.0, D.marker: -512.0, D.begin: 384.0, **order}))
    head.bias(row({D.begin: 1024.0}), query=row({ONE: 1.0, D.noting: -1.0}))
    head.move(unit(D.asks), 3.7 * unit(D.first).T)
    head.move(unit(D.first), row({D.first: -3.7, D.second: 3.05})[:, None])
    head.move(unit(D.second), -3.7 * unit(D.first).T)


def _grammar(mlp: Mlp) -> None:
    """In a note: after a phrase nothing but a word, after the full stop the end."""
    mlp.unit(row({D.asks: 16.0}), row({D.first: -0.5, D.second: -0.5, D.link: -0.5}))
    # Word endings are like the full stop, which would follow them always.
    mlp.unit(row({D.continuation: 16.0}), row({D.first: 0.025, D.second: 0.025}))
    both = row({D.stop: 16.0, D.noting: 16.0, ONE: -16.0})
    mlp.unit(both, row({D.end: 1.0}))


def _complete(head: Head) -> None:
    """In a note: the piece or number that followed the current word where it came last. A word
    that did so is too faint to be said, but keeps older pieces from it."""
    same = 240.0
    head.bias(row({D.noting: -4 * same, D.symbol: -2 * same, D.begin: 2.75 * same}))
    head.bias(row({D.begin: 4 * same}), query=row({ONE: 1.0, D.noting: -1.0}))
    head.compare(span(D.match)[:60], span(D.previous), same)
    _fade(head, 40.0, row({D.noting: 1.0}))
    head.move(span(D.word), 2.0 * span(D.word).T)
    # Else the full stop would win over pieces that are like it.
    head.move(unit(D.continuation), row({D.link: -3.0, D.first: -3.0, D.second: -3.0})[:, None])


def _fade(head: Head, strength: float, query: Tensor) -> None:
    """Logit -= about strength · log(1 + distance / 60) · (query x), up to 500 tokens."""
    for plane, size, lag in ((7, 0.49, -299), (9, 3.59, -788)):
        head.waves({plane: strength * size}, query, row({ONE: 1.0}), lag=lag)


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
    head.bias(row({D.begin: 2000.0}), query=row({ONE: 1.0, D.noting: -1.0}))
    head.compare(-span(D.previous), span(D.match)[:60], writer.said)
    factor = {D.asks: 1.0, D.recent: writer.latest - 1, D.steady: writer.steady - 1}
    _fade(head, 60.0 * writer.recency, row(factor))
    head.move(span(D.word), writer.boldness * span(D.word).T)
    head.move(unit(D.begin), 3.0 * unit(D.link).T)
