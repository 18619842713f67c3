"""What a person sees in the terminal: tasks, rankings, tables, one user's story."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from agents.meter import Meter
from agents.values import Item, Ranking, RankingTask
from evals.bundle import Bundle
from evals.evaluate import MethodResult
from evals.journal import UserRecord
from evals.methods import REFERENCE
from evals.report import SHOWN, TESTED
from evals.statistics import p_text
from graphs.recommendation import RecommendationState
from graphs.state import PathState
from lrgd.runs import Estimate
from lrgd.workbench import Survey
from memory import Demonstration


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
        "answers held to a JSON schema": "yes" if can.json_schema else "",
    }
    table = Table(show_header=False, box=None)
    for ability, found in rows.items():
        table.add_row(ability, found or "no")
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


def results_table(rows: Sequence[MethodResult]) -> Table:
    """Every method's means, and its difference to the reference."""
    table = Table(title=f"Test task, {rows[0].n} users")
    table.add_column("method")
    for name in SHOWN:
        table.add_column(name, justify="right")
    table.add_column(f"{TESTED} - {REFERENCE} [95 %]", justify="right")
    table.add_column("p", justify="right")
    for row in rows:
        d = row.differences.get(TESTED)
        difference = f"{d.mean:+.4f} [{d.low:+.4f}, {d.high:+.4f}]" if d else ""
        means = (f"{row.means[name]:.4f}" for name in SHOWN)
        p = p_text(row.p_values[TESTED]) if row.p_values else ""
        table.add_row(row.method, *means, escape(difference), p)
    return table


def audit_table(rows: Sequence[MethodResult]) -> Table:
    """What the model did with the lists that it was asked for, method by method."""
    table = Table(title="Audit")
    for name in ("method", "rankings", "repeated", "not in the set", "missing", "cut off"):
        table.add_column(name, justify="left" if name == "method" else "right")
    for name in ("nDCG@10", "by the letter", "position sd"):
        table.add_column(name, justify="right")
    for row in rows:
        a = row.audit
        shares = (f"{rate:.1%}" for rate in (a.duplicates, a.out_of_set, a.missing, a.truncated))
        strict = "" if a.strict_ndcg_at_10 is None else f"{a.strict_ndcg_at_10:.4f}"
        moved = "" if a.position_sd is None else f"{a.position_sd:.2f}"
        lenient = f"{row.means['nDCG@10']:.4f}"
        table.add_row(row.method, str(a.rankings), *shares, lenient, strict, moved)
    return table


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
    for path in record.paths:
        parts.append(_path_table(record, path))
    return Group(*parts, _choice(record.chosen))


def telling(records: Sequence[UserRecord]) -> UserRecord:
    """The user to tell about: one with a perturbation if any, of those the largest gain."""

    def interest(record: UserRecord) -> tuple[bool, float]:
        perturbed = any(j.source is not None for j in record.judgements)
        first, chosen = record.first, record.chosen
        return perturbed, (chosen.effect - first.effect) if chosen and first else 0.0

    return max(records, key=interest)


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


def _path_table(record: UserRecord, path: PathState) -> Table:
    table = Table(title=f"path {path.index}", title_justify="left", show_lines=False)
    for name in ("round", "Effect_D", "rank", "similarity"):
        table.add_column(name, justify="right")
    table.add_column("demonstration")
    judged = {j.round: j for j in record.judgements if j.path == path.index}
    for trial in path.trials:
        d, j = trial.demonstration, judged.get(trial.demonstration.round)
        similarity = f"{j.similarity:.2f}" if j and j.similarity is not None else ""
        text = Text(d.text if trial.verdict == "usable" else f"[rejected: {trial.verdict}]")
        if d.perturbed_by:
            text.append("  <- perturbed", style="magenta")
        if j and j.collapsed:
            injected = f", path {j.source} is injected" if j.source is not None else ""
            text.append(f"  COLLAPSE{injected}", style="red")
        table.add_row(str(d.round), f"{d.effect:.2f}", str(trial.rank or "-"), similarity, text)
    return table


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
