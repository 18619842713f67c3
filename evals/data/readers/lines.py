"""Text files of one record a line, plain or gzip: JSON lines, and fields between separators.

polars reads them lazily, every value as text. What it cannot read is searched for line by line.
"""

import gzip
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import polars as pl

from lrgd.core.errors import InputError

NUMBERS = frozenset({"time", "rating"})

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Lines:
    """A file, the columns that are wanted of it, and how to read it."""

    path: Path
    names: dict[str, str]
    """Our column -> the file's field."""
    frame: pl.LazyFrame
    record: Callable[[str], Record]
    """One line's fields. Raises ValueError."""
    header: int = 0
    """Lines before the first record."""

    def fault(self, required: Sequence[str]) -> InputError | None:
        """The first line that is malformed or lacks one of the required columns."""
        try:
            for number, line in numbered(self.path):
                if number > self.header and line.strip():
                    self._check(line, required)
        except ValueError as error:
            return InputError(f"{self.path}:{number}: {error}")
        return None

    def _check(self, line: str, required: Sequence[str]) -> None:
        record = self.record(line)
        for column in required:
            field, value = self.names[column], record.get(self.names[column])
            if value is None or not str(value).strip():
                raise ValueError(f"field {field} is missing or empty")
            if column in NUMBERS and not is_number(value):
                raise ValueError(f"field {field}: wanted a number, got {str(value)[:40]!r}")


def json_lines(path: Path, names: dict[str, str]) -> Lines:
    """A file of one JSON object a line. Only the fields named are read."""
    existing(path)
    schema = dict.fromkeys(names.values(), pl.String())
    return Lines(path, names, pl.scan_ndjson(path, schema=schema), _json_object)


def separated(
    path: Path, names: dict[str, str], fields: Sequence[str], separator: str, *, header: int
) -> Lines:
    """A file of fields between separators; nothing is quoted.

    Args:
        fields: all fields of a line, in order.
        header: 1 if the first line names the fields, else 0.
    """

    def record(line: str) -> Record:
        values = line.rstrip("\r\n").split(separator)
        if len(values) != len(fields):
            raise ValueError(f"wanted {len(fields)} fields {list(fields)}, got {len(values)}")
        return dict(zip(fields, values, strict=True))

    frame = pl.scan_csv(
        path,
        separator=separator,
        has_header=False,
        skip_lines=header,
        quote_char=None,
        schema=dict.fromkeys(fields, pl.String()),
    )
    return Lines(path, names, frame.filter(~_all_null()), record, header)


def numbered(path: Path) -> Iterator[tuple[int, str]]:
    """A text file's lines, from 1.

    Raises:
        InputError: it cannot be read, is no UTF-8, or its gzip is cut off.
    """
    existing(path)
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8", newline="\n") as file:
            yield from enumerate(file, start=1)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}: {error}; wanted UTF-8, plain or gzip") from error


def existing(path: Path) -> Path:
    """The path, if a file is there. Raises InputError."""
    if not path.is_file():
        raise InputError(f"no file {path}")
    return path


def is_number(value: object) -> bool:
    """Whether it can be read as a finite number."""
    try:
        return isfinite(float(str(value)))
    except ValueError:
        return False


def _json_object(line: str) -> Record:
    if line.lstrip().startswith("{'"):
        raise ValueError(
            "single quotes: this is the loose JSON of before 2018, not JSON; take the 2018 files "
            "or convert it with ast.literal_eval and json.dumps"
        )
    try:
        value = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"wanted a JSON object, got {line.strip()[:60]!r} ({error})") from error
    if not isinstance(value, dict):
        raise ValueError(f"wanted a JSON object, got {line.strip()[:60]!r}")
    return value


def _all_null() -> pl.Expr:
    return pl.all_horizontal(pl.all().is_null())
