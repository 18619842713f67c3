"""Files of fields between separators: one dialect for both ways of reading."""

import csv
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from lrgd.core.errors import InputError
from lrgd.evals.data.readers.lines import lines_of, opened
from lrgd.evals.data.readers.table import BLANKS, Record, Table, Where


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a line is cut into fields, for both ways of reading."""

    separator: str
    quoted: bool = False
    """Whether fields may stand in double quotes, `""` for one in them (RFC 4180). If not, a
    double quote is a character like others."""

    def rows(self, path: Path) -> Iterator[tuple[int, list[str]]]:
        """Each record's first line and its fields, blank lines left out.

        Raises:
            InputError: no UTF-8, or a quote that does not end.
        """
        if self.quoted:
            yield from self._unquoted(path)
            return
        for number, line in lines_of(path):
            if line.strip(BLANKS) or self.separator in line:
                yield number, line.rstrip("\r\n").split(self.separator)

    def scan(self, path: Path, fields: Sequence[str], skip: int) -> pl.LazyFrame | None:
        """The fast reading of a file after its first `skip` lines; None for one with quotes: on
        malformed ones, readers differ."""
        if self.quoted and _holds(path, b'"'):
            return None
        frame = pl.scan_csv(
            path,
            separator=self.separator,
            has_header=False,
            skip_lines=skip,
            quote_char=None,
            empty_string_is_null=False,
            glob=False,
            schema=dict.fromkeys(fields, pl.String()),
        )
        # A line with too few fields ends in nulls, an empty field is none. Such a line is made
        # missing as a whole, so that the careful reading names it; a blank one is left out.
        blank = pl.col(fields[0]).str.strip_chars().eq_missing("") & pl.col(fields[1]).is_null()
        return frame.filter(~blank).select(pl.when(pl.col(fields[-1]).is_not_null()).then(pl.all()))

    def _unquoted(self, path: Path) -> Iterator[tuple[int, list[str]]]:
        end = 0

        def lines() -> Iterator[str]:
            nonlocal end
            for number, line in lines_of(path):
                end = number
                yield line

        reader = csv.reader(lines(), delimiter=self.separator, strict=True, skipinitialspace=True)
        while True:
            begin = end + 1
            try:
                row = next(reader, None)
            except csv.Error as error:
                raise InputError(f"{path}:{begin}: a quoted field is malformed: {error}") from error
            if row is None:
                return
            if len(row) > 1 or "".join(row).strip(BLANKS):
                yield begin, row


def separated(
    path: Path,
    dialect: Dialect,
    header: Sequence[str],
    fields: dict[str, str],
    columns: tuple[str, ...],
    *,
    first: int,
    derived: tuple[pl.Expr, ...] = (),
) -> Table:
    """A file of fields between separators.

    Args:
        header: all fields of a line, two or more, in order, each a name of its own.
        first: the line of the first record.
    """

    def records() -> Iterator[tuple[Where, Record]]:
        for number, row in dialect.rows(path):
            if number < first:
                continue
            if len(row) != len(header):
                raise InputError(
                    f"{path}:{number}: wanted {len(header)} fields {list(header)}, got {len(row)}"
                )
            yield number, dict(zip(header, row, strict=True))

    scan = dialect.scan(path, header, first - 1)
    return Table(path, fields, columns, records, scan, derived)


def _holds(path: Path, byte: bytes) -> bool:
    """Whether a byte occurs in a file. Raises InputError."""
    try:
        with opened(path) as file:
            return any(byte in chunk for chunk in iter(lambda: file.read(1 << 20), b""))
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"cannot read {path}: {error}; wanted UTF-8, plain or gzip") from error
