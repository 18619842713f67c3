"""The report of a run: one self-contained HTML page, plots, tables as text, numbers as JSON."""

import base64
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined

from lrgd.core.files import replace_file
from lrgd.core.table import Table
from lrgd.evals.report.report import Report, optimization_totals
from lrgd.evals.report.tables import (
    audit_table,
    correlation_table,
    cost_table,
    quality_table,
    rounds_table,
    weights_table,
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


def report_tables(report: Report) -> dict[str, Table]:
    """The page's tables by name."""
    tables = [
        quality_table(report.rows, report.evaluation.reference),
        *(weights_table(name, fitted) for name, fitted in report.weights.items()),
        audit_table(report.rows),
        cost_table(report.rows),
        correlation_table(report.correlations),
        *(rounds_table(name, rows) for name, rows in report.rounds.items()),
    ]
    return {table.name: table for table in tables}


def report_figures(report: Report) -> "dict[str, Figure]":
    """The page's plots by name."""
    # Importing matplotlib takes a second: commands that draw nothing should not wait for it.
    from lrgd.evals.report.plots import (
        collapse_plot,
        correlation_plot,
        quality_plot,
        similarity_plot,
    )

    threshold = report.header.settings.similarity_threshold
    figures = {
        "effect_by_round": quality_plot(report.records),
        "similarity_by_round": similarity_plot(report.records, threshold),
    }
    if len(report.rounds) > 1:
        figures["collapse"] = collapse_plot(report.rounds)
    if len(report.sets) > 2:
        figures["agreement"] = correlation_plot(report.sets)
    return figures


def write_report(folder: Path, report: Report) -> ReportFiles:
    """Write page, plots, tables and numbers into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    figures, tables = report_figures(report), report_tables(report)
    plots = tuple(_save_png(figure, folder / f"{name}.png") for name, figure in figures.items())
    files = tuple(file for table in tables.values() for file in table.save(folder))
    replace_file(folder / "results.json", json.dumps(report.as_dict(), indent=2) + "\n")
    replace_file(folder / "report.html", _page(report, tables, figures))
    return ReportFiles(folder / "report.html", plots, files, folder / "results.json")


def _page(report: Report, tables: Mapping[str, Table], figures: "Mapping[str, Figure]") -> str:
    environment = Environment(
        loader=PackageLoader("lrgd.evals.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    return environment.get_template("report.html").render(
        report=report,
        bundle=report.bundle,
        header=report.header,
        tables=tables,
        optimization=optimization_totals(report.records),
        figures={name: _data_uri(figure) for name, figure in figures.items()},
    )


def _save_png(figure: "Figure", path: Path) -> Path:
    figure.savefig(path, dpi=160)
    return path


def _data_uri(figure: "Figure") -> str:
    import matplotlib

    svg = io.BytesIO()
    # Without a date, and with the same names inside: the same run gives the same page.
    with matplotlib.rc_context({"svg.hashsalt": "lrgd"}):
        figure.savefig(svg, format="svg", metadata={"Date": None})
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.getvalue()).decode()}"
