"""A scored run as two small files to be committed: numbers as JSON, tables as Markdown."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from lrgd.core.errors import InputError
from lrgd.evals.report.findings import Findings, numbers, verdict
from lrgd.evals.report.page import tables

SHOWN = ("quality", "cost", "agreement")
"""Tables of the Markdown file."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """How a run was made: what somebody needs who wants to make it again."""

    command: str
    commit: str
    """Of this project."""
    date: str
    machine: str
    model_sha256: str | None
    """Of the weights; None where a server has them."""


def publish(found: Findings, made: Circumstances, name: Path) -> tuple[Path, Path]:
    """Write NAME.json and NAME.md.

    Raises:
        InputError: they cannot be written.
    """
    files = name.with_name(f"{name.name}.json"), name.with_name(f"{name.name}.md")
    content = json.dumps({**asdict(made), **numbers(found)}, indent=1), _markdown(found, made)
    try:
        name.parent.mkdir(parents=True, exist_ok=True)
        for file, text in zip(files, content, strict=True):
            file.write_text(text + "\n", "utf-8")
    except OSError as error:
        raise InputError(f"cannot write {name}.*: {error.strerror}") from error
    return files


def _markdown(found: Findings, made: Circumstances) -> str:
    header = found.header
    about = {
        "bundle": f"{found.bundle.name}, SHA-256 {header.bundle_sha256}",
        "model": header.model + (f", SHA-256 {made.model_sha256}" if made.model_sha256 else ""),
        "ranking": header.ranking,
        "optimisation": f"{header.settings.paths} paths, {header.settings.rounds} rounds",
        "made": f"{made.date}, commit {made.commit}, {made.machine}",
    }
    listed = [f"* {name}: {text}" for name, text in about.items()]
    told = tables(found)
    shown = [f"{told[n].title}\n\n{told[n].markdown()}" for n in SHOWN if n in told]
    heading = f"# {found.bundle.name}, {header.model}, {len(found.records)} users"
    command = f"```sh\n{made.command}\n```"
    first = verdict(found.rows, found.evaluation.reference)
    return "\n\n".join([heading, first, command, "\n".join(listed), *shown])
