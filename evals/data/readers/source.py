"""What every reader yields: two lazy frames of text, and who to ask when a value is no good.

interactions: user, item, time, rating; one row each, in the order of the file. A column that the
format does not have is null throughout. items: id, title, brand, categories, description, as they
stand in the file; a list is its JSON text.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from lrgd.core.errors import InputError

INTERACTION = ("user", "item", "time", "rating")
ITEM = ("id", "title", "brand", "categories", "description")


@dataclass(frozen=True)
class Source:
    """Interactions and items, not read yet."""

    name: str
    files: tuple[Path, ...]
    interactions: pl.LazyFrame
    """Columns INTERACTION, all text."""
    items: pl.LazyFrame
    """Columns ITEM, all text."""
    required: tuple[str, ...]
    """Columns of `interactions` in which every row has a value."""
    fault: Callable[[], InputError | None]
    """The first malformed line, searched for when polars met one: slow, and exact."""
    notes: dict[str, str] = field(default_factory=dict)
    """What the reader found out about the files, for the manifest."""


def as_text(frame: pl.LazyFrame, names: dict[str, str], columns: tuple[str, ...]) -> pl.LazyFrame:
    """The columns wanted, under our names, blank values as null; what a file lacks is null.

    Args:
        names: our column -> the file's.
    """

    def column(ours: str) -> pl.Expr:
        if ours not in names:
            return pl.lit(None, pl.String).alias(ours)
        return pl.col(names[ours]).str.strip_chars().replace("", None).alias(ours)

    return frame.select(map(column, columns))


def slug(*parts: str) -> str:
    """A data set's name: lower case, hyphens."""
    return "-".join("-".join(part.lower().replace("_", " ").split()) for part in parts if part)
