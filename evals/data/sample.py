"""The product's own small world: a generated shop and shoppers who buy in phases.

Titles, brands and categories read like a real shop's. A shopper is after a few things, each a
department and in it a brand and a style: after one for some purchases, then after the next, by
turns. So a history tells what the shopper may buy, its recent part what comes next, and where the
present phase begins is not said: what a demonstration can tell, and a ranking by the whole
history can not.
"""

from dataclasses import dataclass
from random import Random

from lrgd.agents.values import Item
from lrgd.evals.data.datasets import DataSet
from lrgd.evals.data.draws import generator, pick, pick_weighted, shuffled

PHASE = (4, 9)
"""Fewest and most purchases of a phase."""

LEANINGS = 3
"""Things that a shopper is after by turns."""


@dataclass(frozen=True, slots=True)
class Department:
    """One department: who makes what, in which styles."""

    brands: tuple[str, ...]
    kinds: tuple[str, ...]
    styles: tuple[str, ...]


SHOP = {
    "Board Games": Department(
        ("Foxglove Games", "Tinderbox Table", "Meridian Play", "Copper Crow"),
        ("Strategy Board Game", "Card Game", "Cooperative Dice Game", "Expansion Pack", "Puzzle"),
        ("Viking", "Space Colony", "Haunted Manor", "Deep Sea", "Railway", "Medieval Market"),
    ),
    "Garden": Department(
        ("Hollybank", "Greenlatch", "Rook & Thistle", "Sunfold"),
        ("Pruning Shears", "Raised Bed Kit", "Watering Can", "Seed Collection", "Trellis"),
        ("Cottage", "Herb", "Rose", "Vegetable", "Wildflower", "Balcony"),
    ),
    "Kitchen": Department(
        ("Marlowe", "Kestrel Steel", "Bramble & Oak", "Pantrywise"),
        ("Chef's Knife", "Skillet", "Baking Tin", "Stock Pot", "Coffee Grinder", "Cutting Board"),
        ("Cast Iron", "Copper", "Bamboo", "Ceramic", "Induction", "Japanese"),
    ),
    "Music": Department(
        ("Larkspur Audio", "Fretwell", "Tonebridge", "Ashdown Bell"),
        ("Ukulele", "Guitar Strings", "Clip-On Tuner", "Songbook", "Effects Pedal", "Microphone"),
        ("Blues", "Jazz", "Folk", "Studio", "Beginner", "Vintage"),
    ),
    "Outdoor": Department(
        ("Northpeak", "Wildrove", "Cairn & Co", "Palefire"),
        ("Tent", "Sleeping Bag", "Head Torch", "Camp Stove", "Daypack", "Trekking Poles"),
        ("Ultralight", "Winter", "Family", "Alpine", "Bikepacking", "Desert"),
    ),
    "Art": Department(
        ("Vermilion", "Inkwell House", "Palette Lane", "Graphite & Gold"),
        ("Watercolour Set", "Brush Pens", "Sketchbook", "Canvas Panels", "Calligraphy Kit"),
        ("Botanical", "Manga", "Urban Sketching", "Metallic", "Landscape", "Portrait"),
    ),
    "Yarn": Department(
        ("Woolhaven", "Purl & Penny", "Softspun", "Highmoor"),
        ("Sock Yarn", "Knitting Needles", "Crochet Hook Set", "Blanket Kit", "Shawl Pattern"),
        ("Merino", "Alpaca", "Fair Isle", "Pastel", "Chunky", "Cable"),
    ),
    "Video Games": Department(
        ("Pixelforge", "Moonhare Studio", "Ironlantern", "Bitter Comet"),
        ("Racing Game", "Puzzle Adventure", "Role-Playing Game", "Platformer", "Farming Sim"),
        ("Galaxy", "Dragon", "Retro", "Samurai", "Cyber City", "Cosy Village"),
    ),
}
_FORMATS = (
    "{brand} {style} {kind}",
    "{style} {kind} by {brand}",
    "{brand}: {style} {kind}, {extra}",
    "{style} {kind} - {brand} ({extra})",
)
_EXTRAS = ("2nd Edition", "Pack of 3", "Gift Box", "Large", "Blue", "Set of 6", "Deluxe", "No. 4")


def sample_world(*, items: int = 600, shoppers: int = 300, seed: int = 7) -> DataSet:
    """Generate a shop of at most `items` items and `shoppers` sequences of 8 to 30 purchases."""
    catalogue = _catalogue(generator(seed, "shop"), items)
    sequences = {
        f"shopper-{n:03d}": _purchases(generator(seed, "shopper", n), catalogue)
        for n in range(1, shoppers + 1)
    }
    return DataSet("sample", {item.id: item for item in catalogue}, sequences)


def _catalogue(rng: Random, size: int) -> list[Item]:
    every = [
        (name, brand, kind, style)
        for name, d in SHOP.items()
        for brand in d.brands
        for kind in d.kinds
        for style in d.styles
    ]
    chosen = shuffled(rng, every)[:size]
    return [_item(rng, n, *facets) for n, facets in enumerate(chosen, start=1)]


def _item(rng: Random, n: int, department: str, brand: str, kind: str, style: str) -> Item:
    text = pick(rng, _FORMATS)
    title = text.format(brand=brand, kind=kind, style=style, extra=pick(rng, _EXTRAS))
    return Item(f"item-{n:04d}", title, brand, (department, kind, style))


def _purchases(rng: Random, catalogue: list[Item]) -> tuple[str, ...]:
    bought: dict[str, None] = {}
    total = 8 + int(rng.random() * 23)
    left = 1 + int(rng.random() * PHASE[1])  # the first phase began before
    wanted, *others = [_leaning(rng) for _ in range(LEANINGS)]
    while len(bought) < total:
        if left == 0:
            left = PHASE[0] + int(rng.random() * (PHASE[1] - PHASE[0] + 1))
            wanted, *others = [*others, wanted]
        weights = [0.0 if i.id in bought else _appeal(i, wanted) for i in catalogue]
        bought[pick_weighted(rng, catalogue, weights).id] = None
        left -= 1
    return tuple(bought)


def _leaning(rng: Random) -> dict[str, str]:
    """One thing a shopper is after: a department, a brand and a style of it."""
    department = pick(rng, sorted(SHOP))
    d = SHOP[department]
    return {"department": department, "brand": pick(rng, d.brands), "style": pick(rng, d.styles)}


def _appeal(item: Item, wanted: dict[str, str]) -> float:
    """How likely the item is bought, up to a factor."""
    department, _, style = item.categories
    return (
        (15.0 if item.brand == wanted["brand"] else 1.0)
        * (30.0 if style == wanted["style"] else 1.0)
        * (8.0 if department == wanted["department"] else 0.1)
    )
