"""Commands in the pages: they run, or are parsed by the command line.

CONTRIBUTING.md says how a block that is not run is marked.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from lrgd.cli.app import command_line
from tests.pages import PAGES, PROJECT, ROOT, blocks_of, every_page, name_of, prose_of

OPTIONS_OF_OTHERS = {"--no-enable-chunked-prefill", "--dtype"}
"""Options in the text that are vLLM's or the embedded server's own."""
OTHER_PROGRAMS = {".", "pip", "python3", "langgraph"}
"""Programs that pages call and that are not ours: only what is installed is checked."""


def commands_of(code: str) -> Iterator[list[str]]:
    """The commands of a shell block as words, without comments, assignments and `time`."""
    for line in code.replace("\\\n", " ").splitlines():
        for command in line.split(" && "):
            words = shlex.split(command, comments=True)
            while words and re.fullmatch(r"[A-Z_]+=.*|time", words[0]):
                words.pop(0)
            if words:
                yield words


RUN = [page for page in PAGES if any(block.why is None for block in blocks_of(page, "sh"))]


@pytest.mark.parametrize("page", RUN, ids=name_of)
def test_blocks_without_a_mark_run(page: Path, tmp_path: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for block in blocks_of(page, "sh"):
        if block.why is None:
            done = subprocess.run(
                ["bash", "-euc", block.code],
                cwd=tmp_path,
                env={**os.environ, "PATH": path},
                capture_output=True,
                text=True,
                timeout=120,
            )
            assert done.returncode == 0, f"{block.code}{done.stderr}"


@every_page
def test_every_command_exists_with_its_options(page: Path) -> None:
    for block in blocks_of(page, "sh"):
        for words in commands_of(block.code):
            check_command(words)


def check_command(words: list[str]) -> None:
    program, rest = words[0].rsplit("/")[-1], words[1:]
    if program == "lrgd":
        parse(rest)
    elif program == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
        assert set(rest) <= set(targets), words
    elif program == "python" and rest[:1] == ["-m"]:
        check_benchmark(rest[1], rest[2:])
    elif program == "pytest":
        assert all((ROOT / word).exists() for word in rest if "/" in word), words
    else:
        assert program in OTHER_PROGRAMS, f"{program}: not known to this test"
        for extra in re.findall(r"\.\[(\w+)\]", " ".join(rest)):
            assert extra in PROJECT["project"]["optional-dependencies"]


def parse(words: list[str]) -> None:
    """Have the command line read the words; nothing is run."""
    name, command, context = "lrgd", command_line(), None
    try:
        while True:
            command = command.loaded() if hasattr(command, "loaded") else command
            context = command.make_context(name, list(words), parent=context)
            left = [*context._protected_args, *context.args]
            if not hasattr(command, "resolve_command") or not left:
                return
            name, command, words = command.resolve_command(context, left)
    except typer.Exit:  # --help and the like
        return
    except Exception as error:
        pytest.fail(f"lrgd {shlex.join(words)}: {error}")


@every_page
def test_every_command_and_option_in_the_text_exists(page: Path) -> None:
    for named in re.findall(r"`((?:lrgd |--)[^`\n]+)`", prose_of(page)):
        check_named(named)


def check_named(named: str) -> None:
    """A command with options, or options alone, as they stand within a sentence."""
    known = all_options()
    options = set(re.findall(r"--[\w-]+", named))
    if named.startswith("--"):
        assert options <= set().union(*known.values(), OPTIONS_OF_OTHERS), named
        return
    called = max((name for name in known if f"{named} ".startswith(f"{name} ")), key=len)
    rest = named.removeprefix(called).split()
    is_group = any(name.startswith(f"{called} ") for name in known)
    assert not is_group or not rest or rest[0].startswith("--"), f"{named}: no such command"
    assert options <= known[called], named


@cache
def all_options() -> Mapping[str, set[str]]:
    """Command -> its options."""
    return dict(options_by_command(command_line(), "lrgd"))


def options_by_command(command: Any, name: str) -> Iterator[tuple[str, set[str]]]:
    """Each command under its full name, and its options."""
    command = command.loaded() if hasattr(command, "loaded") else command
    named = (option for parameter in command.params for option in parameter.opts)
    yield name, {"--help", *named, *(o for p in command.params for o in p.secondary_opts)}
    for inner, below in getattr(command, "commands", {}).items():
        yield from options_by_command(below, f"{name} {inner}")


def check_benchmark(module: str, words: list[str]) -> None:
    source = (ROOT / f"{module.replace('.', '/')}.py").read_text("utf-8")
    for option in (word for word in words if word.startswith("--")):
        assert f'"{option}"' in source, f"{module} {option}"


@pytest.mark.parametrize(
    "wrong",
    [
        "lrgd data show runs/sample --nobody 3",
        "lrgd data prepare --source none --path D --out B",
        "lrgd nothing",
        "make nothing",
        "python -m benchmarks.parser --nothing",
        "pytest tests/nothing.py",
        'pip install -e ".[nothing]"',
        "nothing",
    ],
)
def test_a_wrong_command_would_be_noticed(wrong: str) -> None:
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        check_command(shlex.split(wrong))


@pytest.mark.parametrize(
    "wrong", ["lrgd nothing", "lrgd data nothing", "lrgd data show --nothing", "--nothing 3"]
)
def test_a_wrong_name_in_the_text_would_be_noticed(wrong: str) -> None:
    with pytest.raises(AssertionError):
        check_named(wrong)
