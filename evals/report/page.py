"""The report of a run: one self-contained HTML page, plots, tables as text, numbers as JSON."""

import base64
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined

from lrgd.evals.report.findings import Findings, numbers, verdict
from lrgd.evals.report.results import MethodResult
from lrgd.evals.report.tables import (
    Table,
    agreement_table,
    audit_table,
    cost_table,
    quality_table,
    rounds_table,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class ReportFiles:
    """What was written."""

    page: Path
    plots: tuple[Path, ...]
    tables: tuple[Path, ...]
    numbers: Path


def worth_an_audit(rows: Sequence[MethodResult]) -> bool:
    """Whether any ranking was less than whole, or several candidate orders were asked."""
    return any(not row.audit.clean or row.audit.position_sd is not None for row in rows)


def tables(found: Findings) -> dict[str, Table]:
    """The page's tables by name."""
    made = [
        quality_table(found.rows, found.evaluation.reference),
        audit_table(found.rows),
        cost_table(found.rows),
        agreement_table(found.correlations),
        *(rounds_table(name, rows) for name, rows in found.rounds.items()),
    ]
    return {table.name: table for table in made}


def plots(found: Findings) -> "dict[str, Figure]":
    """The page's plots by name."""
    # Importing matplotlib takes a second: commands that draw nothing should not wait for it.
    from lrgd.evals.report.plots import agreement_plot, collapse_plot, quality_plot, similarity_plot

    made = {
        "effect_by_round": quality_plot(found.records),
        "similarity_by_round": similarity_plot(
            found.records, found.header.settings.similarity_threshold
        ),
    }
    if len(found.rounds) > 1:
        made["collapse"] = collapse_plot(found.rounds)
    if len(found.sets) > 2:
        made["agreement"] = agreement_plot(found.sets)
    return made


def write_report(folder: Path, found: Findings) -> ReportFiles:
    """Write page, plots, tables and numbers into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    figures, texts = plots(found), tables(found)
    saved = tuple(_save_png(figure, folder / f"{name}.png") for name, figure in figures.items())
    files = tuple(file for table in texts.values() for file in table.save(folder))
    (folder / "results.json").write_text(json.dumps(numbers(found), indent=2) + "\n", "utf-8")
    (folder / "report.html").write_text(_page(found, texts, figures), "utf-8")
    return ReportFiles(folder / "report.html", saved, files, folder / "results.json")


def _page(found: Findings, texts: Mapping[str, Table], figures: "Mapping[str, Figure]") -> str:
    environment = Environment(
        loader=PackageLoader("lrgd.evals.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    return environment.get_template("report.html").render(
        found=found,
        bundle=found.bundle,
        header=found.header,
        tables=texts,
        verdict=verdict(found.rows, found.evaluation.reference),
        audited=worth_an_audit(found.rows),
        optimization=numbers(found)["optimization"],
        figures={name: _data_uri(figure) for name, figure in figures.items()},
    )


def _save_png(figure: "Figure", path: Path) -> Path:
    figure.savefig(path, dpi=160)
    return path


def _data_uri(figure: "Figure") -> str:
    svg = io.BytesIO()
    # Metadata without a date: the same run gives the same page.
    figure.savefig(svg, format="svg", metadata={"Date": None})
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.getvalue()).decode()}"
