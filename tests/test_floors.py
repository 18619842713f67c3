"""Imports go downwards only (docs/design.md, section 2)."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BELOW = {
    "core": "",
    "memory": "core",
    "theory": "core",
    "agents": "core memory",
    "graphs": "core memory agents",
    "serving": "core agents",
    "evals": "core memory agents graphs",
    "lrgd": "core memory agents graphs serving evals",
    "lrgd/explain": "core theory agents serving evals lrgd",
    "lrgd/debug": "core memory theory agents graphs serving evals lrgd lrgd/explain",
    "lrgd/terminal": "core agents lrgd lrgd/debug",
    "lrgd/web": "core agents evals lrgd lrgd/debug lrgd/terminal",
    "lrgd/cli": "core memory agents graphs serving evals lrgd lrgd/explain lrgd/debug "
    "lrgd/terminal lrgd/web",
}
"""A room, and the rooms that it may import: the lowest first."""


def room_of(module: str) -> str:
    """The room that `lrgd.x.y` is in."""
    _, first, *_ = [*module.split("."), ""]
    if first in BELOW:
        return first
    return f"lrgd/{first}" if f"lrgd/{first}" in BELOW else "lrgd"


def imported(path: Path) -> set[str]:
    modules = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            own = node.module == "lrgd"
            modules |= {f"lrgd.{a.name}" for a in node.names} if own else {node.module}
    return {room_of(m) for m in modules if m.split(".")[0] == "lrgd"}


def files_of(room: str) -> list[Path]:
    within = (ROOT / room).glob("*.py") if room == "lrgd" else (ROOT / room).rglob("*.py")
    return [file for file in within if file != ROOT / "lrgd" / "__init__.py"]


@pytest.mark.parametrize("room", BELOW)
def test_a_room_imports_only_rooms_below_it(room: str) -> None:
    assert files_of(room)
    for file in files_of(room):
        beyond = imported(file) - {*BELOW[room].split(), room}
        assert not beyond, f"{file.relative_to(ROOT)} imports {sorted(beyond)}"


def test_every_package_stands_on_a_floor() -> None:
    at_root = {p.parent.name for p in ROOT.glob("*/__init__.py")} - {"tests"}
    inside = {f"lrgd/{p.parent.name}" for p in ROOT.glob("lrgd/*/__init__.py")}
    assert at_root | inside == BELOW.keys()


def test_the_actors_do_not_know_one_way_of_asking_from_another() -> None:
    """`agents/ranking` stands on `agents/endpoint`, never the other way round."""
    for file in (ROOT / "agents" / "endpoint").glob("*.py"):
        assert "lrgd.agents.ranking" not in file.read_text("utf-8"), file


def test_theory_of_real_models_needs_nothing_that_only_the_paper_needs() -> None:
    for file in ROOT.glob("*/**/*.py"):
        if ROOT / "theory" / "paper" in file.parents or "tests" in file.parts:
            continue
        if ".venv" not in file.parts and "build" not in file.parts:
            assert "lrgd.theory.paper" not in file.read_text("utf-8"), file
