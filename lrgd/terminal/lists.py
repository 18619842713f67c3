"""Lists in the terminal: users, a run's users by what went wrong, every round of every path."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lrgd.debug.desk import UsersView
from lrgd.debug.rounds import PathsView, RoundRow
from lrgd.debug.trouble import NoteChange, TroubleView
from lrgd.terminal.steps import judgement_words
from lrgd.terminal.text import said, user_text


def render_users(view: UsersView) -> RenderableType:
    table = Table(box=None, pad_edge=False)
    table.add_column("user")
    table.add_column("bought", justify="right")
    table.add_column("of it")
    for row in view.users:
        titles = "; ".join(title[:40] for title in row.titles)
        table.add_row(user_text(row.user_id), str(row.bought), said(titles))
    if not view.users:
        return Text("No user with that in the id or in a title.")
    return Group(table, *([Text(f"... and {view.more} more")] if view.more else []))


def render_worst(view: TroubleView) -> RenderableType:
    if not view.rows:
        return Text(f"No user of {view.users} is done yet.")
    table = Table(box=None, pad_edge=False)
    table.add_column("user")
    for name in ("test rank", "lost", "chosen", "change", "collapsed", "refused"):
        table.add_column(name, justify="right")
    for row in view.rows:
        known = f"{row.zero_shot_rank or '-'} -> {row.test_rank or '-'}"
        lost = "-" if row.lost is None else f"{row.lost:+.2f}"
        chosen, counts = str(row.validation_rank or "-"), (str(row.collapsed), str(row.refused))
        table.add_row(user_text(row.user_id), known, lost, chosen, _change(row.change), *counts)
    not_done = view.users - view.done
    about = [
        f"Worst first, by: {view.order}. Test task: rank of the true next item without a note "
        "(zero-shot), then with the chosen one (LRGD), and the Effect_D that the note lost. "
        "Validation task: rank with the chosen note; largest change of Effect_D by one note, with "
        "path and round; how often paths collapsed; notes that could not be used.",
        *([f"... and {view.more} more"] if view.more else []),
        *([f"{not_done} of {view.users} users are not done"] if not_done else []),
        *([f"{view.done - view.scored} are not scored"] if view.scored < view.done else []),
    ]
    return Group(table, *(Text(line, "dim") for line in about))


def _change(change: NoteChange | None) -> str:
    return f"{change.by:+.2f} (p{change.path} r{change.round})" if change else "-"


def render_rounds(view: PathsView) -> RenderableType:
    if not view.rows:
        return Text("Nothing was written yet.")
    table = Table(box=None, pad_edge=False)
    for name in ("round", "path", "rank", "Effect_D"):
        table.add_column(name, justify="right")
    table.add_column("note")
    table.add_column("guard")
    for row in view.rows:
        rank = str(row.rank) if row.rank else "-"
        guard = judgement_words(row.judgement) if row.judgement else Text("")
        numbers = str(row.round), str(row.path), rank, f"{row.effect:.4f}"
        table.add_row(*numbers, _note(row), guard)
    ended = f"; ended: {view.stopped_by}" if view.stopped_by else ""
    about = f"Ranks of the true next item among {view.candidates}, validation task{ended}. "
    then = "/fork path PATH round ROUND goes on from there."
    return Group(table, Text(about + then, "dim"))


def _note(row: RoundRow) -> Text:
    words = said(row.text)
    if row.chosen:
        words.append("  <= chosen", "green")
    if row.verdict != "usable":
        words.append(f"  not usable: {row.verdict.replace('_', ' ')}", "red")
    if row.perturbed_by is not None:
        words.append(f"  written with path {row.perturbed_by}'s injected (D_per)", "magenta")
    return words
