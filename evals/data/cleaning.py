"""Cleaning: from a source's frames to a data set, by stated rules, with a report of what went.

In this order: (1) interactions rated below `min_rating` go; (2) so do those with an item that has
no title, and (3) a user's later interactions with an item that she had before; (4) users and items
with fewer than `k_core` interactions go, again and again until none is left. Sequences are in time
order; equal times keep the order of the file. What counts as a title: see evals/data/item_texts.py.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from lrgd.agents.values import Item
from lrgd.core.errors import InputError
from lrgd.core.text import REFUSED_IN_IDS
from lrgd.evals.data.datasets import DataSet
from lrgd.evals.data.item_texts import item_of, title_of
from lrgd.evals.data.number_columns import refuse_other_numbers
from lrgd.evals.data.readers.source import ITEM, Source

CODED = ("user", "item")
NUMBERED = ("time", "rating")


@dataclass(frozen=True, slots=True)
class Rules:
    """What is kept."""

    k_core: int = 5
    """Least interactions of a user and of an item; 1 keeps all."""
    min_rating: float | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """The size of a data set at one stage."""

    interactions: int
    users: int
    items: int


@dataclass(frozen=True, slots=True)
class Dropped:
    """What one rule dropped."""

    rule: str
    interactions: int


@dataclass(frozen=True, slots=True)
class CleaningReport:
    """What came in, what went and why, what is left."""

    read: Counts
    dropped: tuple[Dropped, ...]
    kept: Counts
    tied: int
    """Interactions at the very time of the user's one before; they keep the file's order."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values for the manifest."""
        return {
            "read": asdict(self.read),
            "dropped": {step.rule: step.interactions for step in self.dropped},
            "kept": asdict(self.kept),
            "tied": self.tied,
        }


def clean(source: Source, rules: Rules) -> tuple[DataSet, CleaningReport]:
    """Read a source and apply the rules.

    Raises:
        InputError: a malformed file, named with line and field; a rule that the format cannot
            serve; nothing left.
    """
    if rules.min_rating is not None and "rating" not in source.required:
        raise InputError(f"{source.name} has no ratings: leave --min-rating out")
    frame, users, items = _read(source)
    read = _counts(frame)
    titled = items.filter(pl.col("name").is_in(_titled(source, items["name"]).implode()))
    dropped = []
    for rule, left in _steps(frame, titled, rules):
        dropped.append(Dropped(rule, frame.height - left.height))
        frame = left
    report = CleaningReport(read, tuple(dropped), _counts(frame), _tied(frame))
    if frame.is_empty():
        went = "; ".join(f"{step.interactions} {step.rule}" for step in dropped)
        raise InputError(f"{source.name}: nothing is left of {read.interactions} rows: {went}")
    items = items.join(frame, on="item", how="semi")
    return DataSet(
        source.name, _items(source, items["name"]), _sequences(frame, users, items)
    ), report


def k_core(frame: pl.DataFrame, k: int) -> pl.DataFrame:
    """The largest part in which every user and every item has k or more rows.

    Args:
        frame: columns user and item, each pair at most once; the order of rows is kept.
    """
    height = -1
    while height != frame.height:
        height = frame.height
        for column in CODED:
            frame = frame.filter(pl.len().over(column) >= k)
    return frame


def _steps(
    frame: pl.DataFrame, titled: pl.DataFrame, rules: Rules
) -> Iterator[tuple[str, pl.DataFrame]]:
    """The rules one after the other: what each is called, and what it leaves."""
    if rules.min_rating is not None:
        frame = frame.filter(pl.col("rating") >= rules.min_rating)
        yield f"rated below {rules.min_rating:g}", frame
    frame = frame.drop("rating").join(titled, on="item", how="semi", maintain_order="left")
    yield "item without a title", frame
    # Stable sorts: equal times keep the order of the file. Two of one column each are twice as
    # fast as one of both, and one number for a pair is found again with a third of the memory.
    frame = frame.sort("time", maintain_order=True).sort("user", maintain_order=True)
    pair = pl.col("user").cast(pl.UInt64) * 2**32 + pl.col("item")
    frame = frame.filter(pair.is_first_distinct())
    yield "item that the user had before", frame
    yield f"user or item with fewer than {rules.k_core}", k_core(frame, rules.k_core)


def _read(source: Source) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """The interactions, all numbers; and the texts behind the users' and the items' numbers."""
    numbers = [pl.col(name).cast(pl.Float64, strict=False) for name in NUMBERED]
    codes = [pl.col(name).cast(pl.Categorical(pl.Categories.random())) for name in CODED]
    frame = source.interactions.collect(
        lambda rows: rows.select(*codes, *numbers),
        source.required,
        lambda rows: _sound(rows.select(source.required)),
    )
    if frame.is_empty():
        raise InputError(f"{source.files[0]}: no interactions in it")
    refuse_other_numbers(source, frame)
    if "time" not in source.required:
        frame = frame.with_columns(time=pl.int_range(pl.len()).cast(pl.Float64))
    users, items = (_texts(frame[name]) for name in CODED)
    # Numbers are sorted and grouped many times faster than the texts behind them.
    return frame.with_columns(pl.col(CODED).to_physical()), users, items


def _sound(values: pl.DataFrame) -> bool:
    """Whether no value is missing, every number finite, every id one that can be used."""
    numbers = values.select(pl.col(pl.Float64))
    finite = numbers.select(pl.all().is_finite().all()).row(0) if numbers.width else ()
    usable = (
        not values[name].unique().cast(pl.String).str.contains(REFUSED_IN_IDS).any()
        for name in CODED
    )
    return all(finite) and not any(values.null_count().row(0)) and all(usable)


def _counts(frame: pl.DataFrame) -> Counts:
    users, items = (frame[name].n_unique() for name in CODED)
    return Counts(frame.height, users, items)


def _tied(frame: pl.DataFrame) -> int:
    same = [pl.col(name) == pl.col(name).shift() for name in ("user", "time")]
    return int(frame.select(pl.all_horizontal(same).sum()).item())


def _texts(codes: pl.Series) -> pl.DataFrame:
    """Each code that occurs, under the column's own name, and its text under `name`."""
    codes = codes.unique()
    return pl.DataFrame([codes.to_physical(), codes.cast(pl.String).alias("name")])


def _titled(source: Source, ids: pl.Series) -> pl.Series:
    """The ids of items that have a title."""
    rows = _rows(source, ("id", "title"), ids).iter_rows()
    return pl.Series([item_id for item_id, raw in rows if title_of(raw)], dtype=pl.String)


def _items(source: Source, ids: pl.Series) -> dict[str, Item]:
    rows = _rows(source, ITEM, ids).sort("id").iter_rows(named=True)
    return {row["id"]: item_of(row) for row in rows}


def _rows(source: Source, columns: Sequence[str], ids: pl.Series) -> pl.DataFrame:
    """These items' raw texts; of an item that comes twice the first row counts."""
    wanted = pl.col("id").is_null() | pl.col("id").is_in(ids.implode())
    frame = source.items.collect(
        lambda rows: rows.select(columns).filter(wanted),
        ("id",),
        lambda rows: not rows["id"].null_count(),
    )
    return frame.unique("id", keep="first", maintain_order=True)


def _sequences(
    frame: pl.DataFrame, users: pl.DataFrame, items: pl.DataFrame
) -> dict[str, tuple[str, ...]]:
    """User -> item ids in time order. The frame is sorted by user, then time."""
    # One text an item, not one an interaction: 20 million of them would fill the memory.
    names = dict(items.iter_rows())
    codes = frame["item"].to_numpy()
    lengths = frame.group_by("user", maintain_order=True).len()
    named = lengths.join(users, on="user", maintain_order="left")
    sequences = {}
    begin = 0
    for user, length in named.select("name", "len").iter_rows():
        sequences[user] = tuple(map(names.__getitem__, codes[begin : begin + length].tolist()))
        begin += length
    return sequences
