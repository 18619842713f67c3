"""Imports go downwards only (docs/design.md, section 2)."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "memory": set(),
    "theory": {"memory"},
    "agents": {"memory"},
    "graphs": {"agents", "memory"},
    "serving": {"agents", "memory"},
    "evals": {"graphs", "agents", "memory"},
    "lrgd": {"evals", "graphs", "serving", "agents", "memory", "theory"},
}


def imported_rooms(path: Path) -> set[str]:
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            rooms |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            rooms.add(node.module.split(".")[0])
    return rooms & MAY_IMPORT.keys()


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_rooms_below_it(room: str) -> None:
    files = list((ROOT / room).rglob("*.py"))
    assert files
    for file in files:
        beyond = imported_rooms(file) - MAY_IMPORT[room] - {room}
        assert not beyond, f"{file.relative_to(ROOT)} imports {sorted(beyond)}"


def test_every_root_package_stands_on_a_floor() -> None:
    packages = {p.parent.name for p in ROOT.glob("*/__init__.py")}
    assert packages == MAY_IMPORT.keys() | {"tests"}
