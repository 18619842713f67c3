"""What a person sees in the terminal of data: bundles, tasks, rankings. Results: `show_results`."""

from typing import Any

from rich.console import Console, Group, RenderableType
from rich.text import Text

from lrgd.agents.values import Item, Ranking, RankingTask
from lrgd.core.table import Table
from lrgd.core.text import visible
from lrgd.evals.data.bundle import Bundle
from lrgd.table_view import TableView, key_values


def printer() -> Console:
    """Standard output; wide enough for the table where no terminal says its width."""
    console = Console()
    return console if console.is_terminal else Console(width=140)


def bundle_summary(bundle: Bundle) -> RenderableType:
    """Counts, how it was made, what was dropped before, and its hash."""
    rows = {"bundle": bundle.name, "users": len(bundle.users), "items": len(bundle.items)}
    made_by = dict(bundle.made_by)
    cleaning = made_by.pop("cleaning", None)
    training = "none (format 2): floors that learn from it are left out"
    if bundle.training:
        n, users = len(bundle.training.bought), len(bundle.training.users)
        training = f"{n:,} interactions of {users:,} users"
    facts = {**rows, **made_by, "training part": training, "sha256 (checked)": bundle.sha256}
    shown = key_values({key.replace("_", " "): value for key, value in facts.items()})
    return Group(TableView(_cleaning_table(cleaning)), shown) if cleaning else shown


def task_view(task: RankingTask, split: str) -> RenderableType:
    """One task: history, candidates, the true next item marked."""
    numbered = [_marked(f"{n:3d}  ", item, task) for n, item in enumerate(task.candidates, 1)]
    return Group(
        Text(f"\n{split} task of user {visible(task.user_id)}", style="bold"),
        *([Text(f"About: {visible(task.profile)}")] if task.profile else []),
        Text("\nBought so far, oldest first:", style="bold"),
        *(Text(f"  - {visible(item.title)}") for item in task.history),
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


def _cleaning_table(cleaning: dict[str, Any]) -> Table:
    """What was read, what was dropped and why, what is kept: `CleaningReport.as_dict`."""
    counted = ("interactions", "users", "items")
    read, kept = ([f"{cleaning[when][what]:,}" for what in counted] for when in ("read", "kept"))
    dropped = [(f"dropped: {rule}", f"{n:,}", "", "") for rule, n in cleaning["dropped"].items()]
    tied = ("kept at the very time of the one before", f"{cleaning['tied']:,}", "", "")
    rows = (("read", *read), *dropped, ("kept", *kept), tied)
    return Table("cleaning", "Cleaning", ("", *counted), rows)


def _marked(prefix: str, item: Item, task: RankingTask) -> Text:
    hit = item.id == task.target_id
    mark, style = ("=>", "green") if hit else ("  ", "")
    return Text(f"{mark} {prefix}{visible(item.title)}", style=style)
