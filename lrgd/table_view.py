"""Tables in the terminal: a number is never cut, however narrow the terminal is.

With room for it, a table is one grid. Else names, headings and intervals go on to a second line,
and columns that still find no room to a block of their own below, beside the names again.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table as Grid
from rich.text import Text

from lrgd.core.table import Table
from lrgd.core.text import visible

NAME_WIDTH = 12
"""Characters of a name's line, where room is short: "perturbation" fits."""

PROSE_WIDTH = 24
"""Characters that a column of sentences has at least."""

_WORD = re.compile(r"\s*\S+")
_PART_OF_HEADING = re.compile(r"\s*[@_]?[^\s@_]+|\s*[@_]")  # nDCG @10, Effect _D


@dataclass(frozen=True, slots=True)
class _Column:
    head: str
    cells: tuple[str, ...]
    is_name: bool
    prose: bool

    @property
    def body_width(self) -> int:
        widest = _widest(self.cells)
        return min(PROSE_WIDTH, widest) if self.prose else widest

    @property
    def width(self) -> int:
        return max(self.body_width, _widest([self.head]))

    def folded(self) -> "_Column":
        """The same on more lines: intervals under their means, headings no wider than need be."""
        cells = self.cells
        if self.is_name:
            cells = tuple(_fold(cell, NAME_WIDTH, _WORD) for cell in cells)
        elif not self.prose:
            # At blanks, but not at those inside of an interval's brackets.
            cells = tuple(re.sub(r" (?![^\[]*\])", "\n", cell) for cell in cells)
        column = replace(self, cells=cells)
        return replace(column, head=_fold(self.head, column.body_width, _PART_OF_HEADING))


@dataclass(frozen=True, slots=True)
class TableView:
    """A table of text, for rich to print at any width."""

    table: Table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        columns, width = _columns(self.table), options.max_width
        # Of three characters between columns, one is a border; so are the first and the last.
        if _widths(columns, gap=3) + 4 <= width:
            yield _filled(Grid(title=Text(self.table.title)), columns, width)
            return
        yield Text(self.table.title, "italic")
        folded = [column.folded() for column in columns]
        gap = 1 if _widths(folded, gap=1) <= width else 2
        for block in _blocks(folded, width, gap):
            yield _filled(_without_borders(gap), block, width)


def key_values(rows: Mapping[str, object]) -> Grid:
    """Names and what they stand for, one line each; long values go on on the next line."""
    grid = Grid(show_header=False, box=None)
    grid.add_column(overflow="fold")
    grid.add_column(overflow="fold")
    for name, value in rows.items():
        grid.add_row(Text(name), Text(visible(str(value))))
    return grid


def _columns(table: Table) -> list[_Column]:
    last = len(table.head) - 1
    return [
        _Column(
            head, tuple(visible(row[n]) for row in table.rows), n == 0, table.prose and n == last
        )
        for n, head in enumerate(table.head)
    ]


def _blocks(columns: Sequence[_Column], width: int, gap: int) -> Iterator[list[_Column]]:
    """As many columns side by side as there is room for, the names first in every block."""
    name, *others = columns
    block = [name]
    for column in others:
        if len(block) > 1 and _widths([*block, column], gap) > width:
            yield block
            block = [name]
        block.append(column)
    yield block


def _widths(columns: Sequence[_Column], gap: int) -> int:
    return sum(column.width for column in columns) + gap * (len(columns) - 1)


def _without_borders(gap: int) -> Grid:
    return Grid(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, gap - 1, 0, 0))


def _filled(grid: Grid, columns: Sequence[_Column], width: int) -> Grid:
    """The grid with its columns and rows."""
    # In a terminal that is too narrow for one column, its digits go on on the next line.
    wide_enough = _widths(columns, gap=2) <= width
    for column in columns:
        text = column.is_name or column.prose
        grid.add_column(
            Text(column.head),
            justify="left" if text else "right",
            overflow="fold",
            min_width=column.width if wide_enough and not text else None,
        )
    for cells in zip(*(column.cells for column in columns), strict=True):
        grid.add_row(*map(Text, cells))
    return grid


def _fold(text: str, width: int, piece: re.Pattern[str]) -> str:
    """The text on lines of this width, ended between pieces; longer pieces stay whole."""
    lines = [""]
    for part in piece.findall(text):
        if lines[-1] and cell_len(lines[-1] + part) > width:
            lines.append(part.lstrip())
        else:
            lines[-1] += part
    return "\n".join(lines)


def _widest(texts: Iterable[str]) -> int:
    """Cells of the longest line."""
    return max((cell_len(line) for text in texts for line in text.split("\n")), default=0)
