"""The tables of a run, as text: shown in the terminal, on the page, and as Markdown and LaTeX."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tabulate import tabulate

from lrgd.evals.metrics import METRICS
from lrgd.evals.report.agreement import TESTED, Correlation
from lrgd.evals.report.curves import RoundMeans
from lrgd.evals.report.results import MethodResult
from lrgd.evals.statistics import Interval, p_text


@dataclass(frozen=True, slots=True)
class Table:
    """Text in rows and columns; the first column is of names, the others are of numbers."""

    name: str
    """Of its files."""
    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def save(self, folder: Path) -> list[Path]:
        """Write `NAME.md` and `NAME.tex` (booktabs)."""
        kinds = {"md": "github", "tex": "latex_booktabs"}
        files = [folder / f"{self.name}.{ending}" for ending in kinds]
        for file, form in zip(files, kinds.values(), strict=True):
            file.write_text(self._as(form) + "\n", "utf-8")
        return files

    def markdown(self) -> str:
        return self._as("github")

    def _as(self, form: str) -> str:
        align = ("left", *("right" for _ in self.head[1:]))
        return tabulate(self.rows, self.head, tablefmt=form, disable_numparse=True, colalign=align)


def quality_table(
    rows: Sequence[MethodResult], reference: str, metrics: Iterable[str] = METRICS
) -> Table:
    """Every method's means, and how it stands to the reference."""
    shown = tuple(metrics)
    spread = any(row.seed_sd for row in rows)
    head = ("method", *shown, *(["sd of seeds"] if spread else []))
    return Table(
        "quality",
        f"Test task, {rows[0].n} users",
        (*head, f"{TESTED} - {reference} [95 %]", "p"),
        tuple(
            (
                row.method,
                *(f"{row.means[name]:.4f}" for name in shown),
                *([f"{row.seed_sd[TESTED]:.4f}" if row.seed_sd else ""] if spread else []),
                interval_text(row.differences.get(TESTED)),
                p_text(row.p_values[TESTED]) if row.p_values else "",
            )
            for row in rows
        ),
    )


def audit_table(rows: Sequence[MethodResult]) -> Table:
    """What the model did with the lists that it was asked for."""
    head = ("method", "rankings", "repeated", "not in the set", "missing", "cut off")
    return Table(
        "audit",
        "Audit",
        (*head, "nDCG@10", "by the letter", "position sd"),
        tuple(_audit(row) for row in rows),
    )


def cost_table(rows: Sequence[MethodResult]) -> Table:
    """What each method's answers cost, as the server counted."""
    return Table(
        "cost",
        "Cost",
        ("method", "test calls", "tokens", "s a ranking", "optimisation calls", "its tokens"),
        tuple(
            (
                row.method,
                f"{row.test.calls:,}",
                f"{row.test.tokens:,}",
                f"{row.seconds:.3f}",
                f"{row.optimization.calls:,}" if row.optimization else "",
                f"{row.optimization.tokens:,}" if row.optimization else "",
            )
            for row in rows
        ),
    )


def agreement_table(found: Sequence[Correlation]) -> Table:
    """How validation Effect_D and test nDCG@10 go together."""
    return Table(
        "agreement",
        f"Validation Effect_D and test {TESTED}",
        ("over", "n", "Pearson", "Spearman", "p"),
        tuple(
            (c.over, str(c.n), f"{c.pearson:+.3f}", f"{c.spearman:+.3f}", p_text(c.p))
            for c in found
        ),
    )


def rounds_table(name: str, rows: Sequence[RoundMeans]) -> Table:
    """Quality and similarity by round, on the validation task."""
    return Table(
        f"rounds_{name.lower().replace(', ', '_').replace(' ', '_')}",
        f"By round, {name}",
        ("round", "paths", "Effect_D", "nDCG@10", "best Effect_D", "similarity"),
        tuple(
            (
                str(row.round),
                str(row.running),
                f"{row.effect:.4f}",
                f"{row.ndcg:.4f}",
                f"{row.best_effect:.4f}",
                "" if row.similarity is None else f"{row.similarity:.4f}",
            )
            for row in rows
        ),
    )


def interval_text(d: Interval | None) -> str:
    """A mean difference and its interval; empty for none."""
    return f"{d.mean:+.4f} [{d.low:+.4f}, {d.high:+.4f}]" if d else ""


def _audit(row: MethodResult) -> tuple[str, ...]:
    a = row.audit
    return (
        row.method,
        f"{a.rankings:,}",
        *(f"{rate:.1%}" for rate in (a.duplicates, a.out_of_set, a.missing, a.truncated)),
        f"{row.means['nDCG@10']:.4f}",
        "" if a.strict_ndcg_at_10 is None else f"{a.strict_ndcg_at_10:.4f}",
        "" if a.position_sd is None else f"{a.position_sd:.2f}",
    )
