"""Every round of every path of a session, in one table."""

from collections.abc import Mapping
from dataclasses import dataclass

from lrgd.agents.generator import Verdict
from lrgd.agents.guard import Judgement
from lrgd.debug.state import SessionState
from lrgd.memory import Demonstration


@dataclass(frozen=True, slots=True)
class RoundRow:
    """One round on one path."""

    round: int
    path: int
    effect: float
    rank: int | None
    """Of the true next item; None where the text was not ranked with."""
    verdict: Verdict
    text: str
    judgement: Judgement | None
    """What the guard saw after it; None before it has."""
    perturbed_by: int | None
    """The path whose text was injected when this one was written."""
    chosen: bool


@dataclass(frozen=True, slots=True)
class PathsView:
    """What was written, round by round, on the validation task."""

    rows: tuple[RoundRow, ...]
    candidates: int
    stopped_by: str
    """Empty where nothing was chosen yet."""


def paths_view(state: SessionState) -> PathsView:
    """Every round of every path, and what the guard decided after it."""
    trials = [t for path in state.get("paths", {}).values() for t in path.trials]
    trials.sort(key=lambda t: (t.demonstration.round, t.demonstration.path))
    judged = {(j.round, j.path): j for j in state.get("judgements", [])}
    written = {t.demonstration.id: t.demonstration for t in trials}
    chosen = state.get("chosen")
    return PathsView(
        tuple(
            RoundRow(
                round=t.demonstration.round,
                path=t.demonstration.path,
                effect=t.demonstration.effect,
                rank=t.rank,
                verdict=t.verdict,
                text=t.demonstration.text,
                judgement=judged.get((t.demonstration.round, t.demonstration.path)),
                perturbed_by=_source(written, t.demonstration.perturbed_by),
                chosen=chosen is not None and chosen.id == t.demonstration.id,
            )
            for t in trials
        ),
        len(state["task"].candidates),
        state.get("stopped_by", ""),
    )


def _source(written: Mapping[str, Demonstration], id_: str | None) -> int | None:
    """The path that an injected demonstration came from."""
    found = written.get(id_ or "")
    return found.path if found else None
