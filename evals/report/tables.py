"""The tables of a run, as text: shown in the terminal, on the page, and as Markdown and LaTeX."""

from collections.abc import Iterable, Sequence

from lrgd.core.table import Table
from lrgd.evals.methods.evidence import FusedFit
from lrgd.evals.metrics import MAIN_METRIC, METRICS
from lrgd.evals.report.correlation import Correlation
from lrgd.evals.report.method_results import MethodResult
from lrgd.evals.report.rounds import RoundMeans
from lrgd.evals.statistics import interval_text, least_users, normal_interval, p_text


def users_text(users: int, comparisons: int, left_out: int = 0) -> str:
    """A number of users, and whether so many can tell anything: "3 users: too few to tell".

    With some left out: "n = 297 of 300 users; 3 with failed calls".
    """
    needed = least_users(comparisons)
    few = f": too few to tell ({needed} are needed)" if users < needed else ""
    if left_out:
        return f"n = {users} of {users + left_out} users; {left_out} with failed calls{few}"
    return f"{users} users{few}"


def quality_table(
    rows: Sequence[MethodResult], reference: str, metrics: Iterable[str] = METRICS
) -> Table:
    """Every method's means, and how it stands to the reference."""
    shown = tuple(metrics)
    spread = any(row.seed_sd for row in rows)
    head = ("method", *shown, *(["sd of seeds"] if spread else []))
    return Table(
        "quality",
        f"Test task, {users_text(rows[0].n, len(rows) - 1, rows[0].left_out)}",
        (*head, f"{MAIN_METRIC} - {reference} [95 %]", "p"),
        tuple(
            (
                row.method,
                *(f"{row.means[name]:.4f}" for name in shown),
                *([f"{row.seed_sd[MAIN_METRIC]:.4f}" if row.seed_sd else ""] if spread else []),
                *_difference(row),
            )
            for row in rows
        ),
    )


def audit_table(rows: Sequence[MethodResult]) -> Table:
    """What the model did with the lists that it was asked for."""
    head = ("method", "rankings", "repeated", "not in the set", "missing", "cut off")
    shares = any(row.audit.share is not None for row in rows)
    return Table(
        "audit",
        "Audit",
        (*head, MAIN_METRIC, "by the letter", "position sd", *(["share"] if shares else [])),
        tuple((*_audit(row), *([_share(row)] if shares else [])) for row in rows),
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


def correlation_table(correlations: Sequence[Correlation]) -> Table:
    """How validation Effect_D and test nDCG@10 go together."""
    return Table(
        "agreement",
        f"Validation Effect_D and test {MAIN_METRIC}",
        ("over", "n", "Pearson", "Spearman", "p"),
        tuple(
            (
                c.over,
                str(c.n),
                f"{c.pearson:+.3f}",
                f"{c.spearman:+.3f}",
                p_text(c.p, enough=c.enough),
            )
            for c in correlations
        ),
    )


def weights_table(name: str, fitted: FusedFit) -> Table:
    """What each part weighs, in the floor `fused` or in the run's prior."""
    return Table(
        name,
        f"Weights of {name}, fitted on {fitted.tasks} validation tasks of {fitted.users} users",
        ("part", "logits a standard deviation [95 %]"),
        tuple(
            (source, interval_text(normal_interval(weight, fitted.standard_errors[source]), ".2f"))
            for source, weight in fitted.weights.items()
        ),
    )


def rounds_table(name: str, rows: Sequence[RoundMeans]) -> Table:
    """Quality and similarity by round, on the validation task."""
    return Table(
        f"rounds_{name.lower().replace(', ', '_').replace(' ', '_')}",
        f"By round, {name}",
        ("round", "paths", "Effect_D", MAIN_METRIC, "best Effect_D", "similarity"),
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


def _difference(row: MethodResult) -> tuple[str, str]:
    """A method's difference to the reference, and its p-value; empty for the reference itself."""
    if row.verdict is None:
        return "", ""
    enough = row.verdict != "too few to tell"
    p = p_text(row.p_values[MAIN_METRIC], enough=enough)
    return interval_text(row.differences[MAIN_METRIC]), p


def _share(row: MethodResult) -> str:
    """Of the probability, what the options' letters had."""
    return "" if row.audit.share is None else f"{row.audit.share:.1%}"


def _audit(row: MethodResult) -> tuple[str, ...]:
    a = row.audit
    return (
        row.method,
        f"{a.rankings:,}",
        *(f"{rate:.1%}" for rate in (a.duplicates, a.out_of_set, a.missing, a.truncated)),
        f"{row.means[MAIN_METRIC]:.4f}",
        "" if a.strict_ndcg_at_10 is None else f"{a.strict_ndcg_at_10:.4f}",
        "" if a.position_sd is None else f"{a.position_sd:.2f}",
    )
