"""The pages that the tests of the documentation read, and what is in them."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = sorted((ROOT / "docs").rglob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))

BLOCK = re.compile(
    r"^(?:<!-- not run: (?P<why>[^\n]+) -->\n)?```(?P<language>\w+)\n(?P<code>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page that says its language."""

    language: str
    code: str
    why: str | None
    """Why it is not run; None: it is."""


def blocks_of(page: Path, language: str) -> list[Block]:
    found = BLOCK.finditer(page.read_text("utf-8"))
    blocks = [Block(b["language"], b["code"], b["why"]) for b in found]
    return [block for block in blocks if block.language == language]


def prose_of(page: Path) -> str:
    return FENCED.sub("", page.read_text("utf-8"))


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def rows_of(page: Path, columns: int) -> list[list[str]]:
    """Rows of a page's tables of so many columns, the headings among them."""
    lines = [line for line in prose_of(page).splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in rows if len(row) == columns and not row[0].startswith("---")]


every_page = pytest.mark.parametrize("page", PAGES, ids=name_of)
