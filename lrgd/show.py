"""What a person sees in the terminal: tasks, rankings, tables, one user's story."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from lrgd.agents.endpoint.meter import Meter
from lrgd.agents.values import Item, Ranking, RankingTask
from lrgd.evals.data.bundle import Bundle
from lrgd.evals.report.compare import Comparison
from lrgd.evals.report.findings import Findings, verdict
from lrgd.evals.report.page import worth_an_audit
from lrgd.evals.report.stories import Story, path_table
from lrgd.evals.report.tables import Table as Texts
from lrgd.evals.report.tables import agreement_table, audit_table, quality_table
from lrgd.evals.runs.folder import UserRecord
from lrgd.graphs.recommendation import RecommendationState
from lrgd.memory import Demonstration
from lrgd.runs import Estimate
from lrgd.trials import Trial
from lrgd.workbench import Survey

SHOWN = ("nDCG@1", "nDCG@10", "Recall@10", "MRR", "Effect_D")
"""Metrics for which a terminal has room; the report has all."""


def bundle_summary(bundle: Bundle) -> RenderableType:
    """Counts, how it was made, what was dropped before, and its hash."""
    table = Table(show_header=False, box=None)
    rows = {"bundle": bundle.name, "users": len(bundle.users), "items": len(bundle.items)}
    made_by = dict(bundle.made_by)
    cleaning = made_by.pop("cleaning", None)
    for key, value in {**rows, **made_by, "sha256 (checked)": bundle.sha256}.items():
        table.add_row(key.replace("_", " "), Text(str(value)))
    return Group(_cleaning_table(cleaning), table) if cleaning else table


def task_view(task: RankingTask, split: str) -> RenderableType:
    """One task: history, candidates, the true next item marked."""
    numbered = [_marked(f"{n:3d}  ", item, task) for n, item in enumerate(task.candidates, 1)]
    return Group(
        Text(f"\n{split} task of user {task.user_id}", style="bold"),
        *([Text(f"About: {task.profile}")] if task.profile else []),
        Text("\nBought so far, oldest first:", style="bold"),
        *(Text(f"  - {item.title}") for item in task.history),
        Text(f"\n{len(task.candidates)} candidates (=> the true next item):", style="bold"),
        *numbered,
    )


def ranking_view(ranking: Ranking, task: RankingTask, top: int) -> RenderableType:
    """The best items with their probabilities; the true next item marked."""
    items = {item.id: item for item in task.candidates}
    lines = []
    for rank, item_id in enumerate(ranking.order, start=1):
        p = ranking.probabilities.get(item_id)
        known = f"{p:6.3f}  " if p is not None else ""
        if rank <= top or item_id == task.target_id:
            lines.append(_marked(f"{rank:3d}  {known}", items[item_id], task))
    return Group(*lines)


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


def survey_table(survey: Survey) -> RenderableType:
    """What a server can do, one line an ability."""
    can = survey.abilities
    rows = {
        "typed questions, /v1/systemone": f"up to {can.systemone} options" if can.systemone else "",
        "typed questions, /v1/decisions": f"up to {can.decisions} options" if can.decisions else "",
        "alternatives of a token": f"{can.top_logprobs}" if can.top_logprobs else "",
        "letters told apart": f"{can.letters}" if can.letters else "",
        "log-probabilities of a prompt": "yes" if can.echo else "",
        "end of an answer": repr(can.frame.after) if can.frame else "",
        "documents scored, /v1/rerank": "yes" if can.rerank else "",
        "answers held to a JSON schema": "yes" if can.json_schema else "",
    }
    rows["thinking before the answer"] = can.thinking if can.thinking != "none" else ""
    table = Table(show_header=False, box=None)
    for ability, found in rows.items():
        table.add_row(ability, Text(found or "no"))
    return table


def story_ranks(told: Story) -> RenderableType:
    """Where each method put the test task's true next item."""
    ranks = ", ".join(f"{method} {rank}" for method, rank in told.ranks.rows)
    return Text(f"Test task, rank of {told.test_target}: {ranks}\n")


def trials_table(trials: Sequence[Trial]) -> RenderableType:
    """Ranking modes that were tried, one line a mode."""
    table = Table(title=f"{trials[0].tasks} validation tasks, no demonstration")
    table.add_column("--ranking")
    for column in ("nDCG@10 [95 %]", "tokens a task", "seconds a task"):
        table.add_column(column, justify="right")
    for trial in trials:
        gain = f"{trial.ndcg_10.mean:.3f} [{trial.ndcg_10.low:.3f}, {trial.ndcg_10.high:.3f}]"
        table.add_row(trial.mode, gain, f"{trial.tokens}", f"{trial.seconds:.2f}")
    return table


def paid_line(meter: Meter) -> str:
    """What a command paid, in one sentence."""
    return (
        f"Paid: {meter.calls} calls, {meter.prompt_tokens} prompt and {meter.completion_tokens} "
        f"completion tokens; {meter.repeated} requests were answered before."
    )


def estimate_line(found: Estimate) -> str:
    """What a run will need, in one sentence."""
    need = found.usage
    return (
        f"The run of {found.users} users needs about {need.calls} calls, {need.prompt_tokens} "
        f"prompt and {need.completion_tokens} completion tokens (tried: {found.tried} users, "
        "whose answers are kept for the run)."
    )


def findings_view(found: Findings) -> RenderableType:
    """The tables of a scored run, and where LRGD stands."""
    reference = found.evaluation.reference
    tables = [quality_table(found.rows, reference, SHOWN)]
    if worth_an_audit(found.rows):
        tables.append(audit_table(found.rows))
    if found.correlations:
        tables.append(agreement_table(found.correlations))
    return Group(*map(table_view, tables), Text(verdict(found.rows, reference)))


def comparison_view(found: Comparison) -> RenderableType:
    """What two runs differ in, and how their methods stand to each other."""
    settings = (Text(f"{key}: A {a}, B {b}") for key, (a, b) in found.settings.items())
    return Group(*settings, table_view(found.table()))


def table_view(table: Texts) -> Table:
    """A table of text in the terminal: the first column left, numbers right."""
    view = Table(title=table.title)
    for at, name in enumerate(table.head):
        view.add_column(escape(name), justify="right" if at else "left")
    for row in table.rows:
        view.add_row(*map(escape, row))
    return view


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
    parts += [_path_view(path_table(record, path)) for path in record.paths]
    return Group(*parts, _choice(record.chosen))


def _cleaning_table(cleaning: dict[str, Any]) -> Table:
    """What was read, what was dropped and why, what is kept: `CleaningReport.as_dict`."""
    table = Table(box=None)
    for name in ("", "interactions", "users", "items"):
        table.add_column(name, justify="right" if name else "left")
    read, kept = (
        [f"{cleaning[name][what]:,}" for what in ("interactions", "users", "items")]
        for name in ("read", "kept")
    )
    table.add_row("read", *read)
    for rule, count in cleaning["dropped"].items():
        table.add_row(f"dropped: {rule}", f"{count:,}")
    table.add_row("kept", *kept)
    table.add_row("  at the very time of the one before", f"{cleaning['tied']:,}")
    return table


def _path_view(table: Texts) -> Table:
    """As `table_view`, but the last column is text."""
    view = table_view(table)
    view.title_justify, view.columns[-1].justify = "left", "left"
    return view


def _choice(chosen: Demonstration | None) -> RenderableType:
    if chosen is None:
        return Text("No usable demonstration was written.")
    title = f"chosen: path {chosen.path}, round {chosen.round}, Effect_D {chosen.effect:.2f}"
    return Panel(Text(chosen.text), title=title, title_align="left")


def _marked(prefix: str, item: Item, task: RankingTask) -> Text:
    hit = item.id == task.target_id
    return Text(f"{'=>' if hit else '  '} {prefix}{item.title}", style="green" if hit else "")


def printer() -> Console:
    """Standard output; wide enough for the table where no terminal says its width."""
    console = Console()
    return console if console.is_terminal else Console(width=140)
