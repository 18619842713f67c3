"""A file of records as a table of texts, read fast by polars or carefully, line by line.

The careful reading is the definition of a format. polars is taken where it gives the same: where
it fails, or leaves a required value missing, the file is read again carefully, which yields the
table or names line, field and cause. So what is read and what is complained of cannot differ.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from polars.exceptions import PolarsError

from lrgd.core.errors import InputError
from lrgd.core.text import REFUSED_IN_IDS, unusable_id, whole_characters

NUMBERS = frozenset({"time", "rating"})
IDS = frozenset({"user", "item", "id"})
BATCH = 100_000
"""Records that are read carefully at once."""
BLANKS = "\t\n\x0b\x0c\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)
"""What polars calls white space; Python calls four control characters so, too."""

Record = Mapping[str, str | None]
Where = int | str
"""A line's number, or another name of a place in a file."""
Query = Callable[[pl.LazyFrame], pl.LazyFrame]


@dataclass(frozen=True)
class Table:
    """A file, the columns that are wanted of it, and two ways to read them."""

    path: Path
    fields: dict[str, str]
    """Our column -> the file's field."""
    columns: tuple[str, ...]
    """All of our columns; those that the file lacks are null."""
    records: Callable[[], Iterator[tuple[Where, Record]]]
    """The careful reading. Raises InputError, which names the place."""
    scan: pl.LazyFrame | None = None
    """The fast reading, by the file's fields; None where polars does not know the format."""
    derived: tuple[pl.Expr, ...] = ()
    """Columns that are made of others, in the end."""

    def collect(
        self, query: Query, required: Sequence[str], sound: Callable[[pl.DataFrame], bool]
    ) -> pl.DataFrame:
        """What a query makes of the columns, all text, blank values as null.

        Args:
            required: columns in which every row has a value, and a usable one.
            sound: whether the query's result shows no required value that is missing.

        Raises:
            InputError: the file is malformed; names line, field and cause.
        """
        if self.scan is not None:
            try:
                frame = query(self._ours(self.scan)).collect(engine="streaming")
            except (PolarsError, OSError):
                pass  # The careful reading says why, or reads what polars cannot.
            else:
                if sound(frame):
                    return frame
        return query(self.careful(required).lazy()).collect()

    def careful(self, required: Sequence[str]) -> pl.DataFrame:
        """The columns, read record by record. Raises InputError: see `collect`."""
        frames = [self._checked(batch, required) for batch in self._batches()]
        return pl.concat(frames) if frames else self._checked([], required)

    def _ours(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        def column(ours: str) -> pl.Expr:
            if ours not in self.fields:
                return pl.lit(None, pl.String).alias(ours)
            return pl.col(self.fields[ours]).str.strip_chars().replace("", None).alias(ours)

        return (
            frame.with_columns(*map(column, self.columns))
            .select(self.columns)
            .with_columns(*self.derived)
        )

    def _batches(self) -> Iterator[list[tuple[Where, Record]]]:
        """Records in batches. Those before a malformed one come before the complaint about it."""
        records, batch = self.records(), []
        try:
            for record in records:
                batch.append(record)
                if len(batch) == BATCH:
                    yield batch
                    batch = []
        except InputError:
            yield batch
            raise
        if batch:
            yield batch

    def _checked(
        self, batch: Sequence[tuple[Where, Record]], required: Sequence[str]
    ) -> pl.DataFrame:
        names = list(dict.fromkeys(self.fields.values()))
        raw = {name: [_encodable(record.get(name)) for _, record in batch] for name in names}
        frame = self._ours(pl.LazyFrame(raw, dict.fromkeys(names, pl.String()))).collect()
        bad = frame.select(pl.any_horizontal(_unusable(c) for c in required).arg_true()).to_series()
        if len(bad):
            raise self._fault(batch[bad[0]][0], frame.row(bad[0], named=True), required)
        return frame

    def _fault(
        self, where: Where, row: dict[str, str | None], required: Sequence[str]
    ) -> InputError:
        unusable = pl.DataFrame(row, dict.fromkeys(row, pl.String())).select(
            _unusable(column).alias(column) for column in required
        )
        column = next(c for c in required if unusable[c][0])
        value, field = row[column], self.fields.get(column, column)
        reason = f"wanted a number, got {str(value)[:40]!r}"
        if value is None or column in IDS:
            reason = unusable_id(value or "") or reason
        between = " " if value is None or column in IDS else ": "
        return InputError(f"{self.path}:{where}: field {field}{between}{reason}")


def _unusable(column: str) -> pl.Expr:
    """Whether a required value is missing, no finite number where one is wanted, or no id."""
    value = pl.col(column)
    if column in NUMBERS:
        return ~value.cast(pl.Float64, strict=False).is_finite().fill_null(value=False)
    bad = value.str.contains(REFUSED_IN_IDS) if column in IDS else value.is_null()
    return bad.fill_null(value=True)


def _encodable(value: str | None) -> str | None:
    return value if value is None or value.isascii() else whole_characters(value)
