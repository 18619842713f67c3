"""Data sets as read from their files: items, and what each user chose in time order."""

from dataclasses import dataclass, field

from lrgd.agents.values import Item


@dataclass(frozen=True, slots=True)
class DataSet:
    """A catalogue and its users' interactions."""

    name: str
    items: dict[str, Item]
    sequences: dict[str, tuple[str, ...]]
    """User id -> item ids, oldest first."""
    profiles: dict[str, str] = field(default_factory=dict)
