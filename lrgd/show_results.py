"""What a person sees in the terminal of results: runs, reports, comparisons, one user's story."""

from collections import Counter
from collections.abc import Sequence
from statistics import fmean

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.text import Text

from lrgd.agents.values import RankingTask
from lrgd.evals.report.comparison import RunComparison
from lrgd.evals.report.report import Report
from lrgd.evals.report.stories import Story, path_table
from lrgd.evals.report.tables import audit_table, correlation_table, quality_table
from lrgd.evals.runs.folder import FailedCall, UserRecord
from lrgd.evals.runs.shared import SharedSearch
from lrgd.graphs.recommendation import RecommendationState
from lrgd.graphs.settings import LoopSettings
from lrgd.memory import Demonstration
from lrgd.show import ranking_view
from lrgd.table_view import TableView

SHOWN = ("nDCG@1", "nDCG@10", "Recall@10", "MRR", "Effect_D")
"""Metrics for which a terminal has room; the report has all."""


def recommendation_view(state: RecommendationState, task: RankingTask, top: int) -> RenderableType:
    """A recommendation: whose demonstration was used, what it says, and the ranked items."""
    return Group(
        Text(f"\nTest task of {task.user_id}, with a demonstration of: {state['source']}", "bold"),
        *(Text(f"  {d.text}") for d in state["demonstrations"]),
        Text("\n   rank  prob.  item (=> the true next item)", style="bold"),
        ranking_view(state["ranking"], task, top),
    )


def optimization_line(records: Sequence[UserRecord]) -> str:
    """A run in one sentence."""
    calls = sum(r.usage.calls for r in records)
    first = fmean(r.first.effect if r.first else 0.0 for r in records)
    chosen = fmean(r.chosen.effect if r.chosen else 0.0 for r in records)
    return (
        f"{len(records)} users, {calls} model calls; mean Effect_D on the validation task "
        f"{first:.4f} at first, {chosen:.4f} chosen."
    )


def story_ranks(story: Story) -> RenderableType:
    """Where each method put the test task's true next item."""
    ranks = ", ".join(f"{method} {rank}" for method, rank in story.ranks.rows)
    return Text(f"Test task, rank of {story.test_target}: {ranks}\n")


def failures_line(failed: Sequence[FailedCall], users: int) -> str:
    """Users whose calls got no answer, and what can be done, in one sentence."""
    kinds = Counter(call.kind.replace("_", " ") for call in failed)
    counts = ", ".join(f"{kind} {n}" for kind, n in sorted(kinds.items()))
    short = {"cut off", "reasoning"} & kinds.keys()
    more = " --note-tokens and --ranking-tokens give answers more room." if short else ""
    return (
        f"{len({call.user_id for call in failed})} of {users} users are left out, the model gave "
        f"them no answer ({counts}); the next `lrgd optimize --resume` or `lrgd evaluate` asks "
        f"again.{more}"
    )


def shared_lines(result: SharedSearch, before: LoopSettings) -> str:
    """What a search of the shared texts came to, and the texts that it changed."""
    changed = [f"  {n}: {t}" for n, t in result.texts.items() if t != getattr(before, n)]
    head = (
        f"Shared texts: Effect_D {result.effect_before:.4f} -> {result.effect:.4f} on the "
        f"{result.users} users that chose among {len(result.tried)} candidates (the best of "
        f"several is a lucky one); {result.calls} notes and rankings."
    )
    without = f"  without {', '.join(result.left_out)}, whose rankings failed"
    left_out = [without] if result.left_out else []
    return "\n".join([head, *(changed or ["  none was better than what there was"]), *left_out])


def report_view(report: Report) -> RenderableType:
    """The tables of a scored run, and where LRGD stands."""
    tables = [quality_table(report.rows, report.evaluation.reference, SHOWN)]
    if report.audited:
        tables.append(audit_table(report.rows))
    if report.correlations:
        tables.append(correlation_table(report.correlations))
    return Group(*map(TableView, tables), Text(report.headline))


def comparison_view(comparison: RunComparison) -> RenderableType:
    """What two runs differ in, and how their methods stand to each other."""
    settings = (Text(f"{key}: A {a}, B {b}") for key, (a, b) in comparison.settings.items())
    return Group(*settings, TableView(comparison.table()))


def story(record: UserRecord, validation: RankingTask) -> RenderableType:
    """How one user's demonstration came about: paths, rounds, perturbations, the choice."""
    target = validation.target
    assert target is not None
    parts: list[RenderableType] = [
        Text(f"The story of {record.user_id}", style="bold"),
        Text("Bought, oldest first:"),
        *(Text(f"  - {item.title}") for item in validation.history),
        Text(f"Then, unseen by the writer: {target.title}\n"),
    ]
    parts += [TableView(path_table(record, path)) for path in record.paths]
    return Group(*parts, _choice(record.chosen))


def _choice(chosen: Demonstration | None) -> RenderableType:
    if chosen is None:
        return Text("No usable demonstration was written.")
    title = f"chosen: path {chosen.path}, round {chosen.round}, Effect_D {chosen.effect:.2f}"
    return Panel(Text(chosen.text), title=title, title_align="left")
