"""A table of text: made where its numbers are known, shown by the terminal, pages and files."""

import re
from dataclasses import dataclass
from pathlib import Path

from lrgd.core.files import replace_file
from lrgd.core.text import visible


@dataclass(frozen=True, slots=True)
class Table:
    """Text in rows and columns; the first column is of names, the others are of numbers."""

    name: str
    """Stem of the files that it is saved as."""
    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    prose: bool = False
    """Whether the last column is of sentences, not of numbers."""

    def save(self, folder: Path) -> list[Path]:
        """Write `NAME.md` and `NAME.tex` (booktabs)."""
        formats = {"md": "github", "tex": "latex_booktabs"}
        files = [folder / f"{self.name}.{ending}" for ending in formats]
        for file, written_as in zip(files, formats.values(), strict=True):
            replace_file(file, self._as(written_as) + "\n")
        return files

    def markdown(self) -> str:
        """The table as GitHub's Markdown, without its title; no markup of a cell works in it."""
        return self._as("github")

    def _as(self, written_as: str) -> str:
        # Imported here: commands that save nothing should not wait for it.
        from tabulate import tabulate

        rows = [[_in_markdown(cell) for cell in row] for row in self.rows]
        align = ("left", *("right" for _ in self.head[1:]))
        return tabulate(
            rows if written_as == "github" else self.rows,
            self.head,
            tablefmt=written_as,
            disable_numparse=True,
            colalign=align,
        )


def _in_markdown(cell: str) -> str:
    """A cell whose columns, tags and links are text. LaTeX's signs are escaped by tabulate."""
    columns = visible(cell).replace("|", r"\|").replace("](", r"]\(")
    return re.sub(r"<(?=[A-Za-z/!?])", "&lt;", columns)
