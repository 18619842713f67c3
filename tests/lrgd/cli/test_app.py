"""The list of commands, and what it costs to show it."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from lrgd.cli.app import COMMANDS, EXTRAS, LazyCommand, command_line
from lrgd.evals.data.bundle import Bundle
from tests.lrgd.cli.test_cli import assert_refused, lrgd

HEAVY = "torch transformers sentence_transformers chromadb langgraph polars openai matplotlib scipy"
IMPORTED = """
import sys
from lrgd.cli.main import main
try:
    main()
finally:
    print("imported:", *sorted(set(sys.modules) & set({heavy!r}.split())), file=sys.stderr)
"""


def imported_by(*arguments: object) -> tuple[set[str], str]:
    """What of HEAVY a command imports, and what it prints."""
    code = IMPORTED.format(heavy=HEAVY)
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.splitlines()[-1].split()[1:]), done.stdout


def test_help_imports_no_command() -> None:
    heavy, told = imported_by("--help")
    assert heavy == set()
    assert all(f" {name} " in told for name in COMMANDS)


def test_showing_a_bundle_imports_no_model_and_no_graph(bundle: Bundle, tmp_path: Path) -> None:
    bundle.save(tmp_path / "bundle")
    heavy, told = imported_by("data", "show", tmp_path / "bundle")
    assert heavy <= {"polars"}
    assert bundle.sha256 in told


@pytest.mark.parametrize("name", COMMANDS)
def test_a_commands_line_in_the_list_is_what_its_own_help_begins_with(name: str) -> None:
    place, about = COMMANDS[name]
    told = LazyCommand(name=name, help=about, place=place).loaded().help or ""
    assert " ".join(told.split("\n\n")[0].split()) == about


def test_version() -> None:
    assert lrgd("--version").stdout == f"lrgd {version('lrgd')}\n"


def test_no_command_and_an_unknown_command() -> None:
    assert "Commands" in lrgd("--help").stdout
    unknown = lrgd("optimise")
    assert unknown.returncode == 2
    assert "optimize" in unknown.stderr


def test_a_command_whose_extra_is_missing_says_what_to_install() -> None:
    """`-S`-like: the module is hidden from the finder, as where it is not installed."""
    for name, (module, extra) in EXTRAS.items():
        hide = f"import sys; sys.modules[{module!r}] = None; "
        code = f"{hide}from lrgd.cli.main import main; main()"
        command = [sys.executable, "-c", code, name, "--help"]
        found = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert_refused(found, f"lrgd {name} needs {module}", f"pip install 'lrgd[{extra}]'")


def test_all_commands_are_known_to_the_command_line() -> None:
    assert list(command_line().commands) == list(COMMANDS)
