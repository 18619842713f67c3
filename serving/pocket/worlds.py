"""Invented shops: titles of many formats, and shoppers who lean to a few of their words.

Every world draws new words (real words at random, invented names), so that nothing can be
learnt by heart: a model has to read its context. No title of real data is used.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log

from agents.values import Item, RankingTask
from serving.pocket.tokenizer import word_pieces

FACETS = ("brand", "kind", "platform", "series", "attribute")

FORMATS = (
    "{series}: {filler} - {platform}",
    "{series} {number} - {platform}",
    "{series} {filler} {number} ({platform})",
    "{brand} {attribute} {kind} for {platform}",
    "{brand} {series} {kind} - {platform}",
    "{brand} {platform} {kind} ({attribute})",
    "{attribute} {kind} by {brand}, {filler}",
    "{series} the {filler} {kind} [{attribute}]",
    "{platform} {attribute} {kind} {filler} pack of {number}",
    "{brand} {kind} {filler} with {attribute} {filler}",
    "{series} {kind} {filler} edition",
    "{kind} of {filler}: {series} - {attribute}",
    "{filler} {kind} {brand} {number}",
)

_ONSETS, _VOWELS, _CODAS = "bcdfghjklmnprstvwz", "aaeeiioouy", "nrlsxmkt"
_ALPHABETIC = [p for p in word_pieces() if p.isalpha() and len(p) > 2]
"""Real words, the most frequent first."""


@dataclass(frozen=True, slots=True)
class Product:
    """An item and the facet values that made its title: facet -> value."""

    item: Item
    facets: dict[str, str]


@dataclass(frozen=True, slots=True)
class Shopper:
    """A task, what the shopper leans to, and the utility of each candidate."""

    task: RankingTask
    leanings: dict[str, float]
    """Facet value -> weight."""
    shown: tuple[str, ...]
    """Values that the history shows: those that recur first, leanings before the others."""
    utilities: tuple[float, ...]


def world(rng: random.Random, products: int) -> list[Product]:
    """A shop of distinct titles."""
    values = {facet: [_name(rng, facet) for _ in range(rng.randint(4, 9))] for facet in FACETS}
    formats = rng.sample(FORMATS, rng.randint(2, 6))
    fillers = [_common_word(rng) for _ in range(40)]
    shop: dict[str, Product] = {}
    while len(shop) < products:
        facets = {facet: rng.choice(values[facet]) for facet in FACETS}
        shape = rng.choice(formats)
        title = _title(rng, shape, facets, fillers)
        shown = {f: v for f, v in facets.items() if f"{{{f}}}" in shape}
        shop.setdefault(title, Product(Item(str(len(shop)), title), shown))
    return list(shop.values())


def shopper(
    rng: random.Random, shop: Sequence[Product], *, history: int, candidates: int
) -> Shopper:
    """Somebody who buys by one to three facet values; the target is bought like the rest."""
    leanings = _leanings(rng, shop)
    weights = [exp(_utility(p, leanings)) for p in shop]
    past: list[Product] = []
    while len(past) < history + 1:
        choice = rng.choices(shop, weights)[0]
        if choice not in past:
            past.append(choice)
    others = rng.sample([p for p in shop if p not in past], candidates - 1)
    options = [past.pop(), *others]
    target = options[0].item.id
    rng.shuffle(options)
    task = RankingTask(
        user_id="invented",
        history=tuple(p.item for p in past),
        candidates=tuple(p.item for p in options),
        target_id=target,
    )
    utilities = tuple(_utility(p, leanings) for p in options)
    return Shopper(task, leanings, _shown(past, leanings), utilities)


def _leanings(rng: random.Random, shop: Sequence[Product]) -> dict[str, float]:
    liked = rng.choice(shop).facets
    facets = rng.sample(sorted(liked), min(len(liked), rng.randint(1, 3)))
    return {liked[facet]: rng.uniform(2.0, 4.0) for facet in facets}


def _utility(product: Product, leanings: dict[str, float]) -> float:
    return sum(leanings.get(value, 0.0) for value in product.facets.values())


def _shown(past: Sequence[Product], leanings: dict[str, float]) -> tuple[str, ...]:
    counts: dict[str, int] = {}
    for product in past:
        for value in product.facets.values():
            counts[value] = counts.get(value, 0) + 1
    return tuple(sorted(counts, key=lambda v: (counts[v] < 2, v not in leanings, -counts[v])))


def _title(rng: random.Random, shape: str, facets: dict[str, str], fillers: Sequence[str]) -> str:
    text = shape.format(**facets, number=_number(rng), filler="\0")
    while "\0" in text:
        count = rng.choice((0, 1, 1, 2, 3))
        text = text.replace("\0", " ".join(rng.choices(fillers, k=count)), 1)
    text = " ".join(text.split())
    return text.title() if rng.random() < 0.8 else text


def _number(rng: random.Random) -> str:
    return str(rng.choice((2, 3, 4, 5, 64, 360, 100, 2000 + rng.randint(0, 19))))


def _name(rng: random.Random, facet: str) -> str:
    words = [_word(rng) for _ in range(rng.choice((1, 1, 2)))]
    if facet == "platform" and rng.random() < 0.4:
        words.append(_number(rng))
    return " ".join(words)


def _word(rng: random.Random) -> str:
    if rng.random() < 0.75:
        return _ALPHABETIC[rng.randrange(200, len(_ALPHABETIC))]
    syllables = rng.choice((1, 2, 2, 3))
    name = "".join(rng.choice(_ONSETS) + rng.choice(_VOWELS) for _ in range(syllables))
    return name + rng.choice(_CODAS)


def _common_word(rng: random.Random) -> str:
    """Zipf's law: each frequency rank about as often as its inverse."""
    return _ALPHABETIC[int(exp(rng.random() * log(len(_ALPHABETIC)))) - 1]
