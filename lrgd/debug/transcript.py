"""What was done in a session: kept in its checkpoints, written as Markdown, or as a script.

A checkpoint holds one entry: the command that made it, and the view that it showed.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pprint import pformat
from typing import Any

from langgraph.types import StateSnapshot
from pydantic import TypeAdapter

from lrgd.core.text import visible
from lrgd.debug.state import Ranked, SessionState, settings_of
from lrgd.debug.views import (
    ComparisonView,
    KeptView,
    Place,
    RevealView,
    StepView,
    WhyView,
    node_words,
)
from lrgd.graphs.settings import LoopSettings
from lrgd.memory import Demonstration

TOP = 5
"""Items of a ranking that the Markdown shows."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that was done, and what it showed."""

    line: str
    """The command that does it again; empty for the beginning, which no command makes."""
    kind: str
    """Name of the view's class; empty where there is none."""
    view: Any = None


_ADAPTERS: dict[str, TypeAdapter[Any]] = {
    kind.__name__: TypeAdapter(kind)
    for kind in (ComparisonView, KeptView, RevealView, StepView, WhyView)
}
"""What an entry may hold, and how it is read and written."""


def entry_to_json(line: str, view: Any = None) -> dict[str, str]:
    """An entry as a checkpoint keeps it."""
    kind = type(view).__name__ if view is not None else ""
    return {
        "line": line,
        "kind": kind,
        "view": _ADAPTERS[kind].dump_json(view).decode() if kind else "",
    }


def entry_of(snapshot: StateSnapshot) -> Entry:
    """The entry of a checkpoint: what was done to get there."""
    kept = snapshot.values["entry"]
    kind = kept["kind"]
    view = _ADAPTERS[kind].validate_json(kept["view"]) if kind else None
    return Entry(kept["line"], kind, view)


def markdown(state: SessionState, entries: Sequence[Entry]) -> str:
    """The case, then every command with what it showed."""
    task = state["task"]
    target = task.target.title if task.target and state.get("revealed") else "hidden"
    lines = [
        f"# Debugging session: user {_md(task.user_id)}",
        "",
        f"Data set {_md(settings_of(state).dataset) or '-'}, {len(task.candidates)} candidates, "
        f"true next item of the validation task: {_md(target)}.",
        *(["", f"Begun from {_md(state['origin'])}."] if state.get("origin") else []),
        "",
        "Bought, oldest first:",
        "",
        *(f"* {_md(item.title)}" for item in task.history),
    ]
    for entry in entries:
        if entry.line:
            lines += ["", f"## `{visible(entry.line).replace('`', chr(39))}`", ""]
            lines += _view(entry)
    return "\n".join(lines) + "\n"


def script(snapshots: Sequence[StateSnapshot], opening: str) -> str:
    """A Python script that does the branch again, and says where its Effect_D differs.

    Args:
        snapshots: the branch, oldest first.
        opening: a Python expression that opens the desk, over KEY, SETTINGS and `folder`.
    """
    first, last = snapshots[0].values, snapshots[-1].values
    user = last["task"].user_id
    settings = LoopSettings.model_validate(first["settings"]).model_dump(exclude_defaults=True)
    # pformat, not a template's quotes: a title may hold any quote there is.
    return _SCRIPT.format(
        about=_comment(f"user {user} of {settings.get('dataset', 'a bundle')}"),
        settings=pformat(settings, sort_dicts=False, width=90),
        remembered=pformat(_remembered(snapshots), width=96),
        steps=pformat(_steps(snapshots), width=96),
        opening=opening,
        user=repr(user),
    )


def _remembered(snapshots: Sequence[StateSnapshot]) -> list[Demonstration]:
    known = (s.values["remembered"] for s in snapshots if "remembered" in s.values)
    return list(next(known, []))


def _steps(snapshots: Sequence[StateSnapshot]) -> list[tuple[str, int, float | None]]:
    """Line, how often in a row, Effect_D in hand after it."""
    done = [(entry_of(s).line, s.values.get("in_hand")) for s in snapshots]
    # A branch holds only what led to its end: forks need not be done again.
    done = [(line, hand) for line, hand in done if line and not line.startswith("/fork ")]
    steps = []
    for line, group in groupby(done, key=lambda pair: pair[0]):
        hands = [hand for _, hand in group]
        steps.append((line, len(hands), hands[-1].effect if hands[-1] else None))
    return steps


def _view(entry: Entry) -> list[str]:
    match entry.view:
        case StepView() as step:
            return _step(step)
        case ComparisonView() as seen:
            return [
                f"Changed: {_md(seen.change)}.",
                "",
                f"* before: {_ranked(seen.before)}",
                f"* after: {_ranked(seen.after)}",
                *(f"* {_md(m.title)}: {m.before} -> {m.after}" for m in seen.moves[:TOP]),
                "",
                *_places(seen.places),
            ]
        case RevealView() as seen:
            of = f"The true next item of the {seen.split} task"
            return [f"{of}: {_md(seen.item.title)} (rank {seen.rank or '-'})."]
        case KeptView() as seen:
            return [f"Kept, written by {seen.author}: {_md(seen.text)}"]
        case WhyView() as seen:
            return _why(seen)
    return []


def _step(step: StepView) -> list[str]:
    words = [f"**{node_words(step.node, step.path)}**, round {step.round}."]
    if step.text:
        words.append(f"> {_md(step.text)}")
    if score := step.score:
        rank = f", rank {score.rank} of {score.candidates}" if score.rank else ""
        words.append(f"Effect\\_D {score.effect:.4f}{rank}.")
    words += [f"Recalled: {_md(text)}" for text in step.recalled]
    for j in step.guard.judgements if step.guard else ():
        similarity = "-" if j.similarity is None else f"{j.similarity:.2f}"
        gain = "-" if j.gain is None else f"{j.gain:+.2f}"
        verdict = f"collapsed, injected: path {j.source}" if j.collapsed else "goes on"
        words.append(f"Path {j.path}: similarity {similarity}, gain {gain}: {verdict}.")
    return "\n\n".join(words).split("\n")


def _why(why: WhyView) -> list[str]:
    rows = [
        f"| {part.kind} | {_md(part.text)} | {part.rank_without} | "
        f"{'' if part.shift is None else f'{part.shift:+.3f}'} |"
        for part in why.parts
    ]
    item = f"{_md(why.item.title)} ({why.split} task, rank {why.item.rank})"
    head = f"{item} over {_md(why.rival.title)}"
    table = ["| left out | | rank without | shift |", "|---|---|---|---|", *rows]
    words = [f"* {_md(w.word)}: {w.effect:+.3f} (direct {w.direct:+.3f})" for w in why.words]
    return [f"{head} (rank {why.rival.rank}).", "", *table, "", *words]


def _ranked(ranked: Ranked) -> str:
    whose = f"{ranked.label}, {ranked.split} task"
    return f"Effect\\_D {ranked.effect:.4f}, rank {ranked.rank} ({whose}): {_md(ranked.text)}"


def _places(places: Sequence[Place]) -> list[str]:
    return [
        f"{p.rank}. {_md(p.title)}{' (the true next item)' if p.is_target else ''}"
        for p in places[:TOP]
    ]


def _md(text: str) -> str:
    """Text from outside as text: no markup of it works, no control character reaches a screen."""
    return re.sub(r"([\\`*_{}\[\]<>#|&~!$])", r"\\\1", visible(text))


def _comment(text: str) -> str:
    """Text from outside within a docstring."""
    return visible(text).replace("\\", "/").replace('"', "'")


_SCRIPT = '''"""Does a debugging session again: {about}.

Made by lrgd's /export. Prints every command with the Effect_D that came of it; exit code 1 where
one differs from what the session saw.
"""

import asyncio
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from lrgd import Demonstration, LoopSettings, ModelChoice, dispatch, open_desk

KEY = os.environ.get("LRGD_API_KEY", "none")
SETTINGS = LoopSettings.model_validate({settings})
# What memory knew of the user when the session began.
REMEMBERED: list[Demonstration] = {remembered}
# Command, how often, Effect_D of what was then in hand.
STEPS = {steps}


async def main(folder: Path) -> int:
    differing = 0
    async with {opening} as desk:
        await desk.remember(*REMEMBERED)
        session = await desk.sit({user})
        for line, times, wanted in STEPS:
            for _ in range(times):
                await dispatch(session, line)
            hand = (await session.case()).in_hand
            found = hand.effect if hand else None
            same = found == wanted or (found and wanted and abs(found - wanted) < 1e-9)
            differing += not same
            was = "" if same else f", was {{wanted}}"
            print(f"{{line}} x{{times}}: Effect_D {{found}}{{was}}")
    return 1 if differing else 0


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        sys.exit(asyncio.run(main(Path(folder))))
'''
