"""Two commands on one run folder at the same time."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tests.campaign.commands import Disturbance, Ended, Started
from tests.campaign.folders import contents, damage, differences
from tests.campaign.jobs import Job, Place
from tests.loopback import LoopbackModel

Name = Literal["optimize", "evaluate", "suite", "recommend", "publish", "compare", "chat"]
WRITERS = ("optimize", "evaluate", "suite")
READERS = ("recommend", "publish", "compare", "chat")
MODE = "decision"
WAIT_S = 20.0


@dataclass(frozen=True)
class Pair:
    """Which command begins, and which one is started while it waits for the model."""

    job: Job
    """What is under way in the folder: its optimisation or evaluation, or a suite."""
    first: Name
    second: Name


def pairs_of(job: Job) -> list[Pair]:
    """Every pair of commands that may meet in such a folder."""
    names: dict[Job, Sequence[Name]] = {
        "optimize": ("optimize", "recommend", "publish", "compare", "chat"),
        "evaluate": ("optimize", "evaluate", *READERS),
        "suite": ("suite", "optimize", "evaluate", *READERS),
    }
    return [Pair(job, first, second) for first in names[job] for second in names[job]]


def tried(pair: Pair, place: Place, listening: LoopbackModel) -> dict[str, Any]:
    """Start both, let the job come to its end, compare.

    Returns:
        What there was, for the records; `fault` says what did not hold, "" where all did.
    """
    whole = place.whole(pair.job, MODE)
    _half_done(pair.job, place)
    both = _side_by_side(pair, place, listening)
    faults = [fault for ended in both for fault in _told(ended)]
    if {pair.first, pair.second} <= set(WRITERS):
        faults += _refused(pair, both)
    last = place.go_on(pair.job, MODE)
    faults += [f"resumed: exit code {last.code}: {last.told[-500:]}"] if last.code else []
    said = differences(contents(place.out), whole.contents), damage(place.out)
    codes = [ended.code for ended in both]
    told = [(ended.told.splitlines() or [""])[-1] for ended in both if ended.code]
    found = {"codes": codes, "told": told, "fault": "; ".join([*faults, *filter(None, said)])}
    return {"job": pair.job, "first": pair.first, "second": pair.second, **found}


def _half_done(job: Job, place: Place) -> None:
    """A job that was killed in the middle."""
    whole = place.whole(job, MODE)
    place.begin(job, MODE)
    place.do(job, MODE, Disturbance(whole.events // 2, "after"))


def _side_by_side(pair: Pair, place: Place, listening: LoopbackModel) -> list[Ended]:
    """Start the second while the first waits for the model (or is at its end)."""
    listening.hold.clear()
    asked = len(listening.requests)
    first = _started(pair.first, pair.job, place)
    _until(lambda: first.over or len(listening.requests) > asked)
    asked = len(listening.requests)
    second = _started(pair.second, pair.job, place)
    _until(lambda: second.over or len(listening.requests) > asked)
    listening.hold.set()
    return [place.commands.wait(started) for started in (first, second)]


def _until(so: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT_S
    while not so() and time.monotonic() < end:
        time.sleep(0.01)


def _started(name: Name, job: Job, place: Place) -> Started:
    bundle = place.out / "bundle" if job == "suite" else place.bundle
    user = place.user(bundle)
    methods = ("--methods", "m = 1") if job == "suite" else ()  # the suite's own
    words: dict[Name, Sequence[object]] = {
        "optimize": place.words("optimize", MODE, "--resume"),
        "evaluate": place.words("evaluate", MODE, *methods),
        "suite": place.words("suite", MODE),
        "recommend": ("recommend", bundle, "--user", user, "--run", place.run, *place.model),
        "publish": ("report", "publish", place.run, "--out", place.folder / "published",
                    "--command", "c", "--commit", "d", *place.model),
        "compare": ("report", "compare", place.run, place.run),
        "chat": ("chat", bundle, "--run", place.run, *place.model),
    }  # fmt: skip
    typed = f"/user {user}\n/step\n/step\n/quit\n" if name == "chat" else ""
    return place.commands.start(words[name], place.out, typed=typed)


def _told(ended: Ended) -> list[str]:
    """What is wrong with how a command ended: 0, or 2 and one line."""
    last = (ended.told.splitlines() or [""])[-1]
    if ended.code == 0 or (ended.code == 2 and last.startswith("lrgd: ")):
        return []
    return [f"exit code {ended.code}: {ended.told[-1000:]}"]


def _refused(pair: Pair, both: Sequence[Ended]) -> list[str]:
    """Of two writers the second is told who the first is, if that is still at work."""
    first, second = both
    wanted = "is being written by `lrgd "
    if wanted in second.told and second.code == 2:
        return []
    if "Paid: " not in first.told:  # it had nothing to ask, and was over before the second came
        return []
    return [f"{pair.second} was not refused: {second.told[-500:]}"]
