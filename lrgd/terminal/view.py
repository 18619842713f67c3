"""A session's views in the terminal. All text goes through `visible`, and never through markup."""

from collections.abc import Callable, Sequence
from typing import Any

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lrgd.agents.guard import Judgement
from lrgd.debug.desk import HelpView, SavedView, UsersView
from lrgd.debug.shown import node_words
from lrgd.debug.views import (
    CaseView,
    Comparison,
    HistoryView,
    KeptView,
    Move,
    PromptView,
    Ranked,
    RevealView,
    StepsView,
    StepView,
    WhyView,
)
from lrgd.debug.words import Change, visible
from lrgd.terminal.text import places_table, said, said_lines, trend

MOVES = 8
_MARKS = {"same": ("", "", ""), "removed": ("[-", "-]", "red"), "added": ("{+", "+}", "green")}
"""Before, after, and the style: a difference reads without colours, too."""


def render(view: Any) -> RenderableType:
    """A view as a person reads it in a terminal."""
    for kind, shown in _RENDERED.items():
        if isinstance(view, kind):
            return shown(view)
    raise TypeError(f"no rendering of {type(view).__name__}")


def _case(case: CaseView) -> RenderableType:
    parts: list[RenderableType] = [Text(f"User {visible(case.user_id)}", style="bold")]
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
        Text(f"{case.round} of {case.rounds} rounds done. Next: {case.next or 'nothing'}."),
    )


def _in_hand(hand: Ranked, candidates: int) -> Text:
    words = Text("In hand: ", "bold")
    words.append(f"{hand.label}, Effect_D {hand.effect:.4f}, ")
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


def _step(step: StepView) -> RenderableType:
    parts: list[RenderableType] = []
    if step.node == "generator":
        parts.append(_diff(step.diff) if any(c.kind == "same" for c in step.diff) else Text())
        if step.recalled:
            parts.append(Text("  recalled, since they ranked the true next item high:", "dim"))
            parts += [said(f"    {text}", "dim") for text in step.recalled]
        if step.perturbed_by:
            parts.append(said(f"  injected (D_per): {step.perturbed_by}", "magenta"))
        if step.verdict != "usable":
            parts.append(Text(f"  rejected: {step.verdict}; not ranked", style="red"))
    if step.node == "recommender":
        parts.append(places_table(step.places, 5))
    if step.effect is not None and step.node != "recommender":
        rank = f", true next item ranked {step.rank} of {step.candidates}" if step.rank else ""
        bars = f"  {trend(step.effects)}" if len(step.effects) > 1 else ""
        parts.append(Text(f"  Effect_D {step.effect:.4f}{rank}{bars}"))
    for j, cosines in zip(step.judgements, step.similarities, strict=True):
        parts.append(_judgement(j, cosines, step.similarity_threshold))
    if step.node == "begin":
        parts += [said(f"  memory: {text}") for text in step.recalled]
        if not step.recalled:
            parts.append(Text("  memory knows nothing of this user yet"))
    if step.node == "choose":
        text = f"  chosen: {step.text}" if step.text else "  nothing usable was written"
        parts += [said(text, "bold"), Text(f"  stopped by: {step.stopped_by}", "dim")]
        if step.effect is not None and step.effects[0] != step.effect:
            parts.append(Text(f"  {step.effects[0]:.4f} when it was written: settings changed"))
    return Group(*(part for part in parts if part != Text()))


def _diff(diff: Sequence[Change]) -> Text:
    words = Text("  to the last: ", "dim")
    for change in diff:
        before, after, style = _MARKS[change.kind]
        words.append(f"{before}{visible(change.text)}{after}", style).append(" ")
    return words


def _judgement(j: Judgement, cosines: Sequence[float], threshold: float | None) -> Text:
    if j.similarity is None:
        return Text(f"  path {j.path}: its first demonstration, nothing to compare")
    gain = "not known yet" if j.gain is None else f"{j.gain:+.4f}"
    bars = f" {trend(cosines)}" if len(cosines) > 1 else ""
    words = Text(f"  path {j.path}: similarity {j.similarity:.2f}{bars} ")
    words.append(f"(copies from {threshold}), ")
    words.append(f"gain {gain}: ")
    if not j.collapsed:
        return words.append("goes on")
    injected = f"; path {j.source} is injected next" if j.source is not None else ""
    return words.append(f"collapsed{injected}", "red")


def _comparison(found: Comparison) -> RenderableType:
    table = Table(box=None, pad_edge=False)
    for name in ("", "Effect_D", "rank", "demonstration"):
        table.add_column(name)
    for name, ranked in (("before", found.before), ("after", found.after)):
        whose = f"{ranked.label}: {ranked.text}" if ranked.text else ranked.label
        table.add_row(name, f"{ranked.effect:.4f}", str(ranked.rank), said(whose))
    parts: list[RenderableType] = [said(f"Changed: {found.change}", "bold"), table]
    if found.after.verdict == "names_target":
        parts.append(Text("It names the true next item: a run would refuse it.", style="red"))
    if found.moves:
        shown = list(found.moves[:MOVES])
        shown += [m for m in found.moves[MOVES:] if m.is_target]
        rose = sum(m.gain > 0 for m in found.moves)
        fell = len(found.moves) - rose
        parts.append(Text(f"{rose} items rose, {fell} fell; the largest moves:"))
        parts += [_move(move) for move in shown]
    else:
        parts.append(Text("No item changed its place."))
    return Group(*parts, places_table(found.places, 5))


def _move(move: Move) -> Text:
    arrow, style = ("↑", "green") if move.gain > 0 else ("↓", "red")
    mark = "  <= the true next item" if move.is_target else ""
    words = Text(f"  {arrow} {move.before:>3} -> {move.after:<3} ", style)
    return words.append(f"{visible(move.title)}{mark}", "bold" if mark else "default")


def _why(found: WhyView) -> RenderableType:
    table = Table(box=None, pad_edge=False)
    table.add_column("left out")
    table.add_column("rank without", justify="right")
    table.add_column("carries", justify="right")
    table.add_column("")
    for part in sorted(found.parts, key=lambda p: -abs(p.shift or 0.0)):
        shift = "" if part.shift is None else f"{part.shift:+.3f}"
        kind = "bought" if part.kind == "history" else part.kind
        table.add_row(kind, str(part.rank_without), shift, said(part.text))
    parts: list[RenderableType] = [
        said(f"{found.item.title}: rank {found.item.rank}", "bold"),
        said(f"over {found.rival.title}: rank {found.rival.rank}"),
        table,
        Text("carries: log p(item) - log p(rival), what goes when the part is left out", "dim"),
    ]
    if found.words:
        words = [Text(f"{visible(w.word)} {w.effect:+.2f}") for w in found.words]
        parts += [
            Text("Word by word, in nats of the title (masked on the weights):"),
            Columns(words),
        ]
    return Group(*parts, *([said(found.note, "dim")] if found.note else []))


def _prompt(view: PromptView) -> RenderableType:
    parts: list[RenderableType] = []
    for part in view.parts:
        size = f", tokens: {part.tokens}" if part.tokens is not None else ""
        parts += [Text(f"[{part.name}{size}]", "bold cyan"), said_lines(part.text)]
    more = len(view.messages) - 1
    if more:
        parts.append(Text(f"... and {more} more questions over the same text, other candidates"))
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
        table.add_row(here, str(c.n), source, str(c.round), effect, said(c.did))
    return table


def _help(view: HelpView) -> RenderableType:
    table = Table(box=None, pad_edge=False, show_header=False)
    for command in view.commands:
        table.add_row(Text(f"/{command.name} {command.arguments}"), Text(command.line))
    table.add_row(Text("anything else"), Text("your own demonstration: ranked at once"))
    return table


def _users(view: UsersView) -> RenderableType:
    table = Table(box=None, pad_edge=False)
    table.add_column("user")
    table.add_column("bought", justify="right")
    table.add_column("of it")
    for row in view.users:
        titles = "; ".join(title[:40] for title in row.titles)
        table.add_row(said(row.user_id), str(row.bought), said(titles))
    if not view.users:
        return Text("No user with that in the id or in a title.")
    return Group(table, *([Text(f"... and {view.more} more")] if view.more else []))


def _reveal(view: RevealView) -> RenderableType:
    rank = f", ranked {view.rank} of {view.candidates}" if view.rank else ""
    return said(f"The true next item: {view.item.title} ({view.item.id}){rank}", "green")


def _kept(view: KeptView) -> RenderableType:
    by = "a person" if view.author == "person" else view.author
    return said(f"In memory, written by {by}, Effect_D {view.effect:.4f}: {view.text}")


def _saved(view: SavedView) -> RenderableType:
    files = (Text(f"Written: {visible(str(path))}") for path in view.files)
    return Group(*files, Text(f"Then: {visible(view.then)}", "dim"))


def _steps(view: StepsView) -> RenderableType:
    return Group(
        *(
            Group(Text(node_words(step.node, step.path), "bold"), said(step.text), _step(step))
            for step in view.steps
        )
    )


_RENDERED: dict[type, Callable[[Any], RenderableType]] = {
    CaseView: _case,
    Comparison: _comparison,
    HelpView: _help,
    HistoryView: _history,
    KeptView: _kept,
    PromptView: _prompt,
    RevealView: _reveal,
    SavedView: _saved,
    StepView: _step,
    StepsView: _steps,
    UsersView: _users,
    WhyView: _why,
}
