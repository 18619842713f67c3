"""What every reader yields: two tables of text, and what was found out about the files.

interactions: user, item, time, rating; one row each, in the order of the file. A column that the
format does not have is null throughout. items: id, title, brand, categories, description, as they
stand in the file; a list is its JSON text.
"""

from dataclasses import dataclass, field
from pathlib import Path

from lrgd.evals.data.readers.table import Table

INTERACTION = ("user", "item", "time", "rating")
ITEM = ("id", "title", "brand", "categories", "description")


@dataclass(frozen=True)
class Source:
    """Interactions and items, not read yet."""

    name: str
    interactions: Table
    """Columns INTERACTION."""
    items: Table
    """Columns ITEM."""
    notes: dict[str, str] = field(default_factory=dict)
    """What the reader found out about the files, for the manifest."""

    @property
    def files(self) -> tuple[Path, Path]:
        """The files of interactions and of items."""
        return self.interactions.path, self.items.path

    @property
    def required(self) -> tuple[str, ...]:
        """Columns of `interactions` in which every row has a value: those that the file has."""
        return tuple(name for name in INTERACTION if name in self.interactions.fields)


def slug(*parts: str) -> str:
    """A data set's name: lower case, hyphens."""
    return "-".join("-".join(part.lower().replace("_", " ").split()) for part in parts if part)
