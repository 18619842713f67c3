"""The pages: links and names lead somewhere, tables and figures are those of their sources."""

import ast
import importlib
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.pages import PAGES, PROJECT, ROOT, blocks_of, every_page, name_of, prose_of, rows_of
from tests.test_floors import BELOW

LINKED = [*PAGES, ROOT / "CHANGELOG.md", ROOT / "results" / "README.md"]
FOLDERS = "agents|benchmarks|core|docs|evals|graphs|lrgd|memory|results|serving|suites|tests|theory"
PATH = re.compile(rf"(?:{FOLDERS})/[\w./*-]*")


def test_the_readme_is_one_page() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 150


@every_page
def test_python_in_pages_compiles(page: Path) -> None:
    for block in blocks_of(page, "python"):
        compile(block.code, str(page), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize("page", LINKED, ids=name_of)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose_of(page)):
        if "://" in target:
            continue
        file, _, heading = target.partition("#")
        found = (page.parent / file).resolve() if file else page
        assert found.exists(), target
        assert not heading or heading in headings_of(found), target


def headings_of(page: Path) -> set[str]:
    """Their anchors, as GitHub and MyST make them."""
    titles = re.findall(r"^#+ (.+)$", prose_of(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", LINKED, ids=name_of)
def test_paths_and_names_in_pages_exist(page: Path) -> None:
    for named in re.findall(r"`([^`\n]+)`", prose_of(page)):
        if PATH.fullmatch(named):
            assert list(ROOT.glob(named.rstrip("/"))), named
        elif re.fullmatch(r"lrgd(\.\w+)+", named):
            assert resolved(named) is not None, named


def resolved(dotted: str) -> Any:
    """The module, or a module's attribute, of that name."""
    try:
        return importlib.import_module(dotted)
    except ModuleNotFoundError:
        module, _, name = dotted.rpartition(".")
        return getattr(importlib.import_module(module), name)


def test_each_of_the_twenty_things_is_where_the_table_says() -> None:
    things = [row for row in rows_of(ROOT / "CONTRIBUTING.md", 3) if row[0].endswith("?")]
    assert len(things) == 20
    for question, file, name in things:
        text = (ROOT / file.strip("`")).read_text("utf-8")
        assert re.search(rf"\b{re.escape(name.strip('`'))}\b", text), question


def test_the_marks_are_explained() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    for marker in PROJECT["tool"]["pytest"]["ini_options"]["markers"]:
        assert f"`{marker.partition(':')[0]}`" in text, marker


def test_the_table_of_folders_is_the_one_that_is_tested() -> None:
    rows = [row for row in rows_of(ROOT / "docs" / "design.md", 3) if row[0].startswith("`")]
    told = {
        row[0].strip("`").removesuffix("*.py").rstrip("/"): set(re.findall(r"`([^`]+)`", row[2]))
        for row in rows
        if row[0].endswith(("/`", ".py`"))
    }
    assert told == {folder: set(below.split()) for folder, below in BELOW.items()}


@pytest.mark.parametrize(
    ("run", "section"),
    [
        ("games-2018-smollm2-135m", "## Amazon Video Games 2018"),
        ("games-2018-smollm2-135m-prior", "## Evidence as the start"),
    ],
)
def test_the_published_figures_are_those_of_the_run(run: str, section: str, tmp_path: Path) -> None:
    rows = rows_of(ROOT / "results" / f"{run}.md", 11)
    of_run = {row[0]: [row[3], row[6], row[9], row[10]] for row in rows[1:]}
    page = (ROOT / "docs" / "results.md").read_text("utf-8")
    (tmp_path / "section.md").write_text(page.split(section)[1].split("\n## ")[0], "utf-8")
    told = {row[0]: row[1:] for row in rows_of(tmp_path / "section.md", 5)[1:]}
    assert "LRGD" in told
    assert told.items() <= of_run.items()


def test_the_readmes_figures_are_those_of_the_pages() -> None:
    pages = "".join((ROOT / "docs" / f"{n}.md").read_text("utf-8") for n in FIGURES)
    readme = (ROOT / "README.md").read_text("utf-8").split("## What was measured")[1]
    rows = re.findall(r"^\| (.+) \| (.+) \|$", readme, re.MULTILINE)[1:]
    assert len(rows) == 10
    for what, figure in rows:
        assert all(number in pages for number in re.findall(r"[-+]?\d[\d.e^-]*", figure)), what


FIGURES = ("results", "theory", "performance", "reliability")


def test_the_citation_is_of_this_version_and_licence() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == PROJECT["project"]["version"]
    assert citation["license"] == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text("utf-8")
