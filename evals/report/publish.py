"""A scored run as two small files to be committed: numbers as JSON, tables as Markdown."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from lrgd.evals.report.page import report_tables
from lrgd.evals.report.report import Report

SHOWN = ("quality", "fused", "prior", "cost", "agreement")
"""Which of the report's tables the Markdown file holds."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """How a run was made: what somebody needs who wants to make it again."""

    command: str
    commit: str
    """This project's commit that it was made with."""
    date: str
    machine: str
    model_sha256: str | None
    """Hash of the weights; None where a server has them."""


def publish(report: Report, made: Circumstances, name: Path) -> tuple[Path, Path]:
    """Write NAME.json and NAME.md.

    Raises:
        OSError: they cannot be written.
    """
    files = name.with_name(f"{name.name}.json"), name.with_name(f"{name.name}.md")
    content = json.dumps({**asdict(made), **report.as_dict()}, indent=1), _markdown(report, made)
    name.parent.mkdir(parents=True, exist_ok=True)
    for file, text in zip(files, content, strict=True):
        file.write_text(text + "\n", "utf-8")
    return files


def _markdown(report: Report, made: Circumstances) -> str:
    header = report.header
    about = {
        "bundle": f"{report.bundle.name}, SHA-256 {header.bundle_sha256}",
        "model": header.model + (f", SHA-256 {made.model_sha256}" if made.model_sha256 else ""),
        "ranking": header.ranking,
        "optimisation": f"{header.settings.paths} paths, {header.settings.rounds} rounds",
        "made": f"{made.date}, commit {made.commit}, {made.machine}",
    }
    listed = [f"* {name}: {text}" for name, text in about.items()]
    tables = report_tables(report)
    shown = [f"{tables[n].title}\n\n{tables[n].markdown()}" for n in SHOWN if n in tables]
    heading = f"# {report.bundle.name}, {header.model}, {len(report.records)} users"
    command = f"```sh\n{made.command}\n```"
    return "\n\n".join([heading, report.headline, command, "\n".join(listed), *shown])
