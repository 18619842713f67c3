"""A table of text: made where its numbers are known, shown by the terminal, pages and files."""

from dataclasses import dataclass
from pathlib import Path


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
            file.write_text(self._as(written_as) + "\n", "utf-8")
        return files

    def markdown(self) -> str:
        """The table as GitHub's Markdown, without its title."""
        return self._as("github")

    def _as(self, written_as: str) -> str:
        # Imported here: commands that save nothing should not wait for it.
        from tabulate import tabulate

        align = ("left", *("right" for _ in self.head[1:]))
        return tabulate(
            self.rows, self.head, tablefmt=written_as, disable_numparse=True, colalign=align
        )
