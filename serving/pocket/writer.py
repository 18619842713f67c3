"""The circuit of notes: an opening phrase, then words of the history, none twice.

Layer 3 keeps what a note has said, layer 5 tells each token its predecessor, layer 6 tells an
answer's token the phrase before it, layer 7 the theme of the history: the mean of its words, rare
and recent ones first. It also completes words of several pieces, and layer 8 chooses the next word:
near the theme (so that recurring words come first), rare, recent, or out of a note that worked.
How much recency counts depends on the opening phrase, and that is drawn.
"""

from dataclasses import dataclass
from math import log, pi

from serving.pocket.layout import ONE, Head, Mlp, row, span, unit
from serving.pocket.layout import Layout as D

NEVER = {D.continuation: -60.0, D.symbol: -60.0, D.noting: -200.0, D.marker: -60.0}
"""Logits of what no note names."""


@dataclass(frozen=True, slots=True)
class Writer:
    """What makes a word worth saying, as logits; a word's occurrences add up."""

    rarity: float = 1.0
    recurrence: float = 16.0
    recency: float = 0.04
    """For each token of distance."""
    latest: float = 2.0
    """Factor of recency after an opener of the latest purchases, above 1."""
    steady: float = 0.4
    """The same after an opener of the recurring ones."""
    theme: float = 16.0
    """Given to words by their cosine to the theme."""
    worked: float = 4.0
    other: float = 1.0
    last: float = -1.0
    said: float = 20.0
    """Taken from words like those said, by their cosine."""
    boldness: float = 5.0
    """Output of a word that has all of the attention."""


def add_writer(heads: list[list[Head]], mlps: list[Mlp], writer: Writer) -> None:
    """Sets the second heads of layers 3 and 5 to 8."""
    _said(heads[2][1])
    _previous(heads[4][1])
    _phrase(heads[5][1])
    _theme(heads[6][0], writer)
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


def _theme(head: Head, writer: Writer) -> None:
    """After a phrase of a note: the mean of the words worth saying. The head is that of
    `listing`, whose keys it must outbid."""
    worth = {D.rarity: writer.rarity, D.noted: writer.recurrence, D.begin: -1000.0}
    head.bias(row({**worth, **{k: 2 * v for k, v in NEVER.items()}}), query=row({D.asks: 1.0}))
    _recency(head, writer)
    head.move(span(D.match)[: len(span(D.theme))], span(D.theme).T)


def _recency(head: Head, writer: Writer) -> None:
    factor = {D.asks: 1.0, D.recent: writer.latest - 1, D.steady: writer.steady - 1}
    # -sin(distance / 1024), for a history nearly a straight line.
    head.waves({10: 1024 * writer.recency}, row(factor), row({ONE: 1.0}), lag=-512 * pi)


def _phrase(head: Head) -> None:
    """In a note: the last phrase, which decides what may follow its word. An opener, a second and
    a third one come in this order."""
    order = {D.first: 15.0, D.second: 30.0}
    head.bias(row({D.asks: 256.0, D.noting: 256.0, D.marker: -512.0, D.begin: 384.0, **order}))
    head.bias(row({D.begin: 1024.0}), query=row({ONE: 1.0, D.noting: -1.0}))
    head.move(unit(D.asks), 3.05 * unit(D.first).T)
    head.move(unit(D.first), row({D.first: -3.05, D.second: 3.05})[:, None])
    head.move(unit(D.second), -3.05 * unit(D.first).T)


def _grammar(mlp: Mlp) -> None:
    """In a note: after a phrase nothing but a word, after the full stop the end."""
    mlp.unit(row({D.asks: 16.0}), row({D.first: -0.5, D.second: -0.5, D.link: -0.5}))
    # Word endings are like the full stop, which would follow them always.
    mlp.unit(row({D.continuation: 16.0}), row({D.first: 0.025, D.second: 0.025}))
    both = row({D.stop: 16.0, D.noting: 16.0, ONE: -16.0})
    mlp.unit(both, row({D.end: 1.0}))


def _complete(head: Head) -> None:
    """In a note: the piece that continues the current word, if it has one."""
    same = 160.0
    head.bias(row({D.continuation: same, D.noting: -4 * same, D.begin: 1.75 * same}))
    head.bias(row({D.begin: 4 * same}), query=row({ONE: 1.0, D.noting: -1.0}))
    head.compare(span(D.match)[:60], span(D.previous), same)
    head.move(span(D.word), 4.0 * span(D.word).T)
    # Else the full stop would win over pieces that are like it.
    head.move(unit(D.continuation), -3.0 * unit(D.link).T)


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
                D.begin: -200.0,
            }
        ),
        query=asks,
    )
    head.bias(row({**NEVER, D.begin: 100.0}))
    head.bias(row({D.begin: 2000.0}), query=row({ONE: 1.0, D.noting: -1.0}))
    wanted = -span(D.previous)
    wanted[: len(span(D.theme))] += writer.theme / writer.said * span(D.theme)
    head.compare(wanted, span(D.match)[:60], writer.said)
    _recency(head, writer)
    head.move(span(D.word), writer.boldness * span(D.word).T)
    head.move(unit(D.begin), 3.0 * unit(D.link).T)
