"""A session's views in the terminal. All text goes through `visible`, and never through markup."""

from collections.abc import Callable
from typing import Any

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lrgd.core.text import visible
from lrgd.debug.desk import UsersView
from lrgd.debug.prompts import PromptView
from lrgd.debug.rounds import PathsView
from lrgd.debug.seat import HelpView, SavedView
from lrgd.debug.state import Ranked
from lrgd.debug.thread import HistoryView
from lrgd.debug.trouble import TroubleView
from lrgd.debug.views import (
    CaseView,
    ComparisonView,
    KeptView,
    Move,
    RevealView,
    StepsView,
    StepView,
    WhyView,
)
from lrgd.terminal.lists import render_rounds, render_users, render_worst
from lrgd.terminal.steps import changed_words, render_step, render_steps
from lrgd.terminal.text import places_table, said, said_lines, trend

MOVES = 8
"""Items whose rank changed that are listed."""
AT_THE_END = "nothing; /more N adds rounds"


def render(view: Any) -> RenderableType:
    """A view as a person reads it in a terminal."""
    for kind, rendering in _RENDERED.items():
        if isinstance(view, kind):
            return rendering(view)
    raise TypeError(f"no rendering of {type(view).__name__}")


def _case(case: CaseView) -> RenderableType:
    parts: list[RenderableType] = [
        Text(f"User {visible(case.user_id)}, {case.split} task", style="bold")
    ]
    if case.origin:
        parts.append(Text(f"Begun from {visible(case.origin)}. /paths lists them.", "dim"))
    if case.profile:
        parts.append(said(f"About: {case.profile}"))
    parts += [Text("Bought, oldest first:", "bold"), *(said(f"  {i.title}") for i in case.history)]
    if case.in_hand is None:
        names = [said(item.title[:37]) for item in case.candidates]
        parts += [Text(f"{len(names)} candidates:", "bold"), Columns(names, padding=(0, 2))]
    else:
        parts += [_in_hand(case.in_hand, len(case.candidates)), places_table(case.places)]
    target = visible(case.target.title) if case.target else "hidden (/reveal shows it)"
    settings = ", ".join(f"{name}: {visible(value)}" for name, value in case.settings)
    return Group(
        *parts,
        *([_paths(case)] if case.round or any(p.effects for p in case.paths) else []),
        Text(f"True next item: {target}"),
        Text(f"Ranked with: {settings}", style="dim"),
        Text(f"{case.round} of {case.rounds} rounds done. Next: {case.next or AT_THE_END}."),
    )


def _in_hand(hand: Ranked, candidates: int) -> Text:
    words = Text("In hand: ", "bold")
    words.append(f"{hand.label}, {hand.split} task, Effect_D {hand.effect:.4f}, ")
    words.append(f"true next item ranked {hand.rank} of {candidates}")
    return words.append(f"\n  {visible(hand.text)}") if hand.text else words


def _paths(case: CaseView) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("path", "Effect_D", "trend", "similarity", "latest demonstration"):
        table.add_column(name)
    for path in case.paths:
        latest = f"{path.effects[-1]:.4f}" if path.effects else ""
        text = said(path.text).append("  (rests)" if path.resting else "")
        bars = trend(path.effects), trend(path.similarities)
        table.add_row(str(path.index), latest, *bars, text)
    return table


def _comparison(view: ComparisonView) -> RenderableType:
    table = Table(box=None, pad_edge=False)
    for name in ("", "task", "Effect_D", "rank", "demonstration"):
        table.add_column(name)
    for name, ranked in (("before", view.before), ("after", view.after)):
        whose = f"{ranked.label}: {ranked.text}" if ranked.text else ranked.label
        of = ranked.split, f"{ranked.effect:.4f}", str(ranked.rank)
        table.add_row(name, *of, said(whose))
    parts: list[RenderableType] = [said(f"Changed: {view.change}", "bold"), table]
    kinds = {change.kind for change in view.changes}
    if "same" in kinds and len(kinds) > 1:  # of texts that share nothing it would say nothing
        parts.append(changed_words("Words: ", view.changes))
    if view.after.verdict == "names_target":
        parts.append(Text("It names the true next item: a run would refuse it.", style="red"))
    if view.moves:
        moves = list(view.moves[:MOVES])
        moves += [m for m in view.moves[MOVES:] if m.is_target]
        rose = sum(m.gain > 0 for m in view.moves)
        fell = len(view.moves) - rose
        parts.append(Text(f"{rose} items rose, {fell} fell; the largest moves:"))
        parts += [_move(move) for move in moves]
    elif view.before.split != view.after.split:
        parts.append(Text("Two tasks have two sets of candidates: no place can be compared."))
    else:
        parts.append(Text("No item changed its place."))
    return Group(*parts, places_table(view.places, 5))


def _move(move: Move) -> Text:
    arrow, style = ("↑", "green") if move.gain > 0 else ("↓", "red")
    mark = "  <= the true next item" if move.is_target else ""
    words = Text(f"  {arrow} {move.before:>3} -> {move.after:<3} ", style)
    return words.append(f"{visible(move.title)}{mark}", "bold" if mark else "default")


def _why(view: WhyView) -> RenderableType:
    table = Table(box=None, pad_edge=False)
    table.add_column("left out")
    table.add_column("rank without", justify="right")
    table.add_column("carries", justify="right")
    table.add_column("")
    for part in sorted(view.parts, key=lambda p: -abs(p.shift or 0.0)):
        shift = "" if part.shift is None else f"{part.shift:+.3f}"
        kind = "bought" if part.kind == "history" else part.kind
        table.add_row(kind, str(part.rank_without), shift, said(part.text))
    parts: list[RenderableType] = [
        said(f"{view.item.title}: rank {view.item.rank}, {view.split} task", "bold"),
        said(f"over {view.rival.title}: rank {view.rival.rank}"),
        table,
        Text("carries: log p(item) - log p(rival), what goes when the part is left out", "dim"),
    ]
    if view.gap is not None and view.left is not None:
        whole = f"log p(item) - log p(rival) is {view.gap:+.3f} in all; "
        carried = f"the note and the bought things one by one carry {view.gap - view.left:+.3f}, "
        parts.append(Text(f"{whole}{carried}{view.left:+.3f} is left."))
    if view.words:
        words = [Text(f"{visible(w.word)} {w.effect:+.2f}") for w in view.words]
        parts += [
            Text("Word by word, in nats of the title (masked on the weights):"),
            Columns(words),
        ]
    return Group(*parts, *([said(view.note, "dim")] if view.note else []))


def _prompt(view: PromptView) -> RenderableType:
    parts: list[RenderableType] = []
    for part in view.parts:
        size = f", tokens: {part.tokens}" if part.tokens is not None else ""
        parts += [Text(f"[{part.name}{size}]", "bold cyan"), said_lines(part.text)]
    more = len(view.messages) - 1
    if more:
        parts.append(Text(f"... and {more} more questions over the same text, other candidates"))
    parts.append(Text(f"Of the {view.split} task.", "dim"))
    parts.append(Text(f"{view.total} {view.unit} in all.", "bold"))
    if view.shared_with:
        parts.append(
            Text(
                f"The first {view.shared} are those of the {view.shared_with}: "
                "a prefix cache serves them."
            )
        )
    return Group(*parts)


def _history(view: HistoryView) -> RenderableType:
    table = Table(box=None, pad_edge=False)
    for name in ("", "n", "from", "round", "Effect_D", "what was done"):
        table.add_column(name, justify="left" if name in ("", "what was done") else "right")
    for c in view.checkpoints:
        source = str(c.parent) if c.parent not in (None, c.n - 1) else ""
        effect = "" if c.effect is None else f"{c.effect:.4f}"
        here = "=>" if c.current else ""
        did = said(c.did).append("  (the run)" if c.of_run else "", "dim")
        table.add_row(here, str(c.n), source, str(c.round), effect, did)
    return table


def _help(view: HelpView) -> RenderableType:
    table = Table(box=None, pad_edge=False, show_header=False)
    for command in view.commands:
        table.add_row(Text(f"/{command.name} {command.arguments}"), Text(command.line))
    table.add_row(Text("anything else"), Text("your own demonstration: ranked at once"))
    return table


def _reveal(view: RevealView) -> RenderableType:
    rank = f", ranked {view.rank} of {view.candidates}" if view.rank else ""
    of = f"The true next item of the {view.split} task"
    return said(f"{of}: {view.item.title} ({view.item.id}){rank}", "green")


def _kept(view: KeptView) -> RenderableType:
    by = "a person" if view.author == "person" else view.author
    return said(f"In memory, written by {by}, Effect_D {view.effect:.4f}: {view.text}")


def _saved(view: SavedView) -> RenderableType:
    files = (Text(f"Written: {visible(str(path))}") for path in view.files)
    return Group(*files, Text(f"Then: {visible(view.then)}", "dim"))


_RENDERED: dict[type, Callable[[Any], RenderableType]] = {
    CaseView: _case,
    ComparisonView: _comparison,
    HelpView: _help,
    HistoryView: _history,
    PathsView: render_rounds,
    TroubleView: render_worst,
    KeptView: _kept,
    PromptView: _prompt,
    RevealView: _reveal,
    SavedView: _saved,
    StepView: render_step,
    StepsView: render_steps,
    UsersView: render_users,
    WhyView: _why,
}
