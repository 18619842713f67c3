"""The circuit of notes: an opening phrase, then words of the history, none twice.

Layer 4 keeps what a note has said, layer 5 tells each token its predecessor, layer 6 tells an
answer's token the phrase before it, layer 7 completes words of several pieces, and layer 8
chooses the next word: rare, recurring, recent, or out of a note that worked. Which of these
counts most depends on the opening phrase, and that is drawn.
"""

from dataclasses import dataclass

import torch

from serving.pocket.layout import BALLAST, Head, Mlp, row, span, unit
from serving.pocket.layout import Layout as D

ONE = {D.ballast: 1 / BALLAST}


@dataclass(frozen=True, slots=True)
class Writer:
    """What makes a word worth saying, as logits; a word's occurrences add up."""

    rarity: float = 4.0
    recency: float = 0.01
    """For each token of distance."""
    latest: float = 4.0
    """Factor of recency after an opener of the latest purchases, above 1."""
    worked: float = 2.0
    other: float = 1.0
    profile: float = 1.0
    last: float = -1.0
    said: float = 40.0
    """Taken from words like those said, by their cosine."""
    boldness: float = 3.0
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
    """In a note: the mean of its words so far."""
    head.bias(row({D.noting: 60.0, D.asks: -60.0, D.marker: -200.0, D.begin: 55.0}))
    head.bias(row({D.begin: 100.0}), query=row({**ONE, D.noting: -1.0}))
    head.move(span(D.match), span(D.option).T)


def _previous(head: Head) -> None:
    """Before the request: the token one back."""
    distance = (torch.arange(3000.0) - 1).abs()
    head.by_distance(-200.0 * torch.log1p(distance / 3), row(ONE), row(ONE))
    head.bias(row({D.begin: 4000.0}), query=row({D.options: 1.0, D.noting: 1.0}))
    head.move(span(D.match)[:48], span(D.previous).T)


def _phrase(head: Head) -> None:
    """In a note: the nearest phrase, which decides what may follow its word."""
    head.bias(row({D.asks: 2000.0, D.noting: 2000.0, D.marker: -4000.0, D.begin: 2500.0}))
    far = -200.0 * torch.log1p(torch.arange(3000.0) / 20)
    head.by_distance(far, row(ONE), row({D.asks: 1.0}))
    head.bias(row({D.begin: 9000.0}), query=row({**ONE, D.noting: -1.0}))
    head.move(unit(D.asks), 3.05 * unit(D.first).T)
    head.move(unit(D.first), row({D.first: -3.05, D.second: 2.9})[:, None])
    head.move(unit(D.second), -3.05 * unit(D.first).T)


def _grammar(mlp: Mlp) -> None:
    """In a note: after a phrase nothing but a word, after the full stop the end."""
    mlp.unit(row({D.asks: 16.0}), row({D.first: -0.5, D.second: -0.5, D.link: -0.5}))
    both = row({D.stop: 16.0, D.noting: 16.0, D.ballast: -16.0 / BALLAST})
    mlp.unit(both, row({D.end: 1.0}))


def _complete(head: Head) -> None:
    """In a note: the piece that continues the current word, if it has one."""
    head.compare(span(D.match)[:48], span(D.previous), 80.0)
    head.bias(row({D.continuation: 80.0, D.noting: -400.0, D.begin: 115.0}))
    head.bias(row({D.begin: 400.0}), query=row({**ONE, D.noting: -1.0}))
    head.move(span(D.word), 4.0 * span(D.word).T)


def _choose(head: Head, writer: Writer) -> None:
    """After a phrase of a note: a word. After a word: a phrase."""
    asks = row({D.asks: 1.0})
    head.compare(span(D.option), span(D.match), -writer.said)
    head.bias(
        row(
            {
                D.rarity: writer.rarity,
                D.worked: writer.worked,
                D.other: writer.other,
                D.profile: writer.profile,
                D.last: writer.last,
                D.begin: -200.0,
            }
        ),
        query=asks,
    )
    never = {D.continuation: -60.0, D.symbol: -60.0, D.noting: -200.0, D.marker: -60.0}
    head.bias(row({**never, D.begin: 100.0}))
    head.bias(row({D.begin: 5000.0}), query=row({**ONE, D.noting: -1.0}))
    query = row({D.asks: 1.0, D.recent: writer.latest - 1, D.steady: -1.0})
    head.by_distance(-writer.recency * torch.arange(1000.0), query, row(ONE))
    head.move(span(D.word), writer.boldness * span(D.word).T)
    head.move(unit(D.begin), 3.0 * unit(D.link).T)
