"""One kill -9 at a random event of a job, and everything that must hold after it."""

from dataclasses import asdict, dataclass, replace
from random import Random
from typing import Any

from tests.campaign.commands import Disturbance, Ended, How
from tests.campaign.folders import contents, damage, differences, kept_answers, unknown_lines
from tests.campaign.jobs import CONCURRENCY, Job, Place

MODES = ("listwise", "decision", "logprobs", "rerank")
UNKEPT = 2 * CONCURRENCY
"""Answers that can be lost by a kill: as many requests are on the network as the concurrency says,
and while the answers before them are written to the cache, others are sent already: as many as
users are under way."""
TWICE = 0.2
"""Share of the points at which the resumed job is killed, too."""


@dataclass(frozen=True)
class Point:
    """A job, and where it dies. Follows from its number alone."""

    job: Job
    number: int

    @property
    def mode(self) -> str:
        return MODES[self.number % len(MODES)]

    def deaths(self, events: int) -> list[Disturbance]:
        """Where the job dies; where two are named, the resumed one dies at the second."""
        draw = Random(f"{self.job} {self.number}")
        ways: tuple[How, ...] = ("before", "half", "after")
        count = 2 if draw.random() < TWICE else 1
        return [Disturbance(draw.randint(1, events), draw.choice(ways)) for _ in range(count)]


def tried(point: Point, place: Place) -> dict[str, Any]:
    """Kill, look, resume, compare.

    Returns:
        What there was, for the records; `fault` says what did not hold, "" where all did.
    """
    whole = place.whole(point.job, point.mode)
    deaths, events, faults = point.deaths(whole.events), list[str](), list[str]()
    for number, death in enumerate(deaths):
        ended = _second(point, place, death) if number else _first(point, place, death)
        events += [f"{death.how} {ended.event}"] if ended.killed else []
        faults += _after_death(ended, place, whole.contents)
    faults += _after_resuming(place.go_on(point.job, point.mode), place, whole.contents)
    again = place.ledger.paid_again(whole.keys)
    if again > UNKEPT * len(events):
        faults.append(f"{again} requests were paid again, {UNKEPT} can have been under way")
    found = {"events": events, "again": again, "fault": "; ".join(faults)}
    return {**asdict(point), "mode": point.mode, **found}


def _first(point: Point, place: Place, death: Disturbance) -> Ended:
    """Do the job until it dies. It has a few events more or fewer each time: one that got to its
    end is done again, and dies earlier."""
    while True:
        place.begin(point.job, point.mode)
        place.ledger.forget()
        ended = place.do(point.job, point.mode, death)
        if ended.killed or ended.code != 0:
            return ended
        death = replace(death, at=death.at * 9 // 10)


def _second(point: Point, place: Place, death: Disturbance) -> Ended:
    """Resume the job until it dies, or until its end: less is left to do."""
    return place.go_on(point.job, point.mode, death)


def _after_death(ended: Ended, place: Place, wanted: dict[str, bytes]) -> list[str]:
    if not ended.killed and ended.code != 0:
        return [f"exit code {ended.code}: {ended.told[-500:]}"]
    if not place.run.exists():
        return []
    below = {name.removeprefix("run/"): content for name, content in wanted.items()}
    strange = [damage(place.run), unknown_lines(place.run, below)]
    kept = kept_answers(place.run).items()
    strange += [f"answer {k} is not what was said" for k, a in kept if _other(place, k, a)]
    return [fault for fault in strange if fault]


def _other(place: Place, key: str, answer: bytes) -> bool:
    """Whether an answer is kept that the server did not give; earlier ones are not looked at."""
    return key in place.ledger.said and place.ledger.said[key] != answer


def _after_resuming(ended: Ended, place: Place, wanted: dict[str, bytes]) -> list[str]:
    if ended.code != 0:
        return [f"resumed: exit code {ended.code}: {ended.told[-500:]}"]
    return [
        fault for fault in (differences(contents(place.out), wanted), damage(place.run)) if fault
    ]
