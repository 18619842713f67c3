"""The report of a run: one self-contained HTML page, PNG plots and the numbers as JSON."""

import base64
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from evals.audit import rates
from evals.bundle import Bundle
from evals.curves import judgements, rejected, trials_of
from evals.evaluate import MethodResult
from evals.journal import RunHeader, UserRecord
from evals.methods import FLOORS, REFERENCE
from evals.plots import quality_plot, similarity_plot
from evals.statistics import p_text

SHOWN = ("nDCG@1", "nDCG@10", "Recall@10", "MRR", "Effect_D")
TESTED = "nDCG@10"


@dataclass(frozen=True, slots=True)
class ReportFiles:
    """What was written."""

    page: Path
    plots: tuple[Path, ...]
    numbers: Path


def numbers(
    header: RunHeader, records: Sequence[UserRecord], rows: Sequence[MethodResult]
) -> dict[str, Any]:
    """Everything that the table and the page state, as one JSON object."""
    found = list(judgements(records))
    return {
        "bundle_sha256": header.bundle_sha256,
        "model": header.model,
        "ranking": header.ranking,
        "shuffles": header.shuffles,
        "users": len(records),
        "settings": header.settings.model_dump(),
        "reference": REFERENCE,
        "methods": [asdict(row) for row in rows],
        "optimization": {
            "calls": sum(r.usage.calls for r in records),
            "prompt_tokens": sum(r.usage.prompt_tokens for r in records),
            "completion_tokens": sum(r.usage.completion_tokens for r in records),
            "audit": asdict(rates([t.audit for t in trials_of(records) if t.audit])),
            "rejected_demonstrations": rejected(records),
            "collapses": sum(j.collapsed for j in found),
            "perturbations": sum(j.source is not None for j in found),
        },
    }


def verdict(rows: Sequence[MethodResult]) -> str:
    """What a reader should know first: where LRGD stands to zero-shot and to the floors."""
    by_name = {row.method: row for row in rows}
    difference = by_name["LRGD"].differences[TESTED]
    sure = "clear of 0" if difference.low > 0 or difference.high < 0 else "not clear of 0"
    first = (
        f"LRGD minus {REFERENCE}, {TESTED}: {difference.mean:+.4f}, 95 % interval "
        f"{difference.low:+.4f} to {difference.high:+.4f}, {sure} ({by_name['LRGD'].n} users)."
    )
    reached = by_name["LRGD"].means[TESTED]
    above = [m for m in FLOORS if by_name[m].means[TESTED] >= reached]
    if above:
        return f"{first} LRGD does not beat the floor {' and the floor '.join(above)}."
    return f"{first} It is above all floors."


def worth_an_audit(rows: Sequence[MethodResult]) -> bool:
    """Whether any ranking was less than whole, or several candidate orders were asked."""
    return any(not row.audit.clean or row.audit.position_sd is not None for row in rows)


def write_report(
    folder: Path,
    bundle: Bundle,
    header: RunHeader,
    records: Sequence[UserRecord],
    rows: Sequence[MethodResult],
) -> ReportFiles:
    """Write page, plots and numbers into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    figures = {
        "effect_by_round": quality_plot(records),
        "similarity_by_round": similarity_plot(records, header.settings.similarity_threshold),
    }
    plots = tuple(_save_png(figure, folder / f"{name}.png") for name, figure in figures.items())
    found = numbers(header, records, rows)
    (folder / "results.json").write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    environment = Environment(
        loader=PackageLoader("evals"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    page = environment.get_template("report.html").render(
        bundle=bundle,
        header=header,
        rows=rows,
        metrics=SHOWN,
        tested=TESTED,
        reference=REFERENCE,
        verdict=verdict(rows),
        p_text=p_text,
        audited=worth_an_audit(rows),
        optimization=found["optimization"],
        figures={name: _data_uri(figure) for name, figure in figures.items()},
    )
    (folder / "report.html").write_text(page, "utf-8")
    return ReportFiles(folder / "report.html", plots, folder / "results.json")


def _save_png(figure: Figure, path: Path) -> Path:
    figure.savefig(path, dpi=160)
    return path


def _data_uri(figure: Figure) -> str:
    svg = io.BytesIO()
    # Metadata without a date: the same run gives the same page.
    figure.savefig(svg, format="svg", metadata={"Date": None})
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.getvalue()).decode()}"
