"""One run against a server that is ill and recovers, and everything that must hold meanwhile."""

import json
from collections.abc import Set
from dataclasses import asdict, dataclass
from random import Random
from typing import Any

from tests.campaign.commands import Ended
from tests.campaign.faults import FAULTS, USAGE
from tests.campaign.faulty_server import FaultyServer
from tests.campaign.folders import contents, damage, differences, kept_answers
from tests.campaign.jobs import CONCURRENCY, Job, Place, Whole
from tests.campaign.ledger import MODES

FAILED = {fault.name for fault in FAULTS if fault.fate == "failed"}
RATES = (0.05, 0.2, 0.5)
STARTS = 2
"""Starts of a command while the server is ill."""
COUNTS = ("usage", "prompt_tokens", "completion_tokens", "unknown")


@dataclass(frozen=True)
class Illness:
    """Which faults a run meets. Follows from its number alone."""

    number: int

    @property
    def mode(self) -> str:
        return MODES[self.number % len(MODES)]

    @property
    def kinds(self) -> Set[str]:
        """A quarter of the kinds that any request can meet, half of the others: each run meets its
        own."""
        draw = Random(f"kinds {self.number}")
        share = {fault.name: 0.25 if fault.asked == "any" else 0.5 for fault in FAULTS}
        return {name for name, part in share.items() if draw.random() < part}

    @property
    def rate(self) -> float:
        return Random(f"rate {self.number}").choice(RATES)


def tried(illness: Illness, place: Place, server: FaultyServer) -> dict[str, Any]:
    """Optimise and evaluate, each while the server is ill and once it is well.

    In the optimisation no call fails for good: a user some of whose notes were refused is done
    without them, and so otherwise than an undisturbed one.

    Returns:
        What there was, for the records; `fault` says what did not hold, "" where all did.
    """
    faults: list[str] = []
    codes: dict[str, list[int]] = {}
    wholes = {job: place.whole(job, illness.mode) for job in _JOBS}
    place.begin("optimize", illness.mode)
    server.forget()
    for job in _JOBS:
        kinds = illness.kinds - FAILED if job == "optimize" else illness.kinds
        server.spared = wholes["optimize"].others
        ended = [_ill(job, illness, kinds, start, place, server) for start in range(STARTS)]
        codes[job] = [end.code for end in ended]
        faults += [fault for end in ended for fault in _told(end)]
        faults += _while_ill(job, place, server, wholes[job], ended[-1])
        server.recover()
        faults += _well(job, illness, place, server, wholes[job])
    stopped = sum(code != 0 for of_job in codes.values() for code in of_job)
    if server.paid_again() > CONCURRENCY * stopped:
        faults.append(f"{server.paid_again()} requests were paid again, {stopped} starts stopped")
    found = {"met": server.met, "codes": codes, "again": server.paid_again()}
    about = {**asdict(illness), "mode": illness.mode, "rate": illness.rate}
    return {**about, **found, "fault": "; ".join(faults)}


_JOBS: tuple[Job, ...] = ("optimize", "evaluate")


def _ill(
    job: Job, illness: Illness, kinds: Set[str], start: int, place: Place, server: FaultyServer
) -> Ended:
    server.fall_ill(f"{job} {illness.number} {start}", illness.rate, kinds)
    return place.go_on(job, illness.mode) if start else _first(job, illness, place)


def _first(job: Job, illness: Illness, place: Place) -> Ended:
    return place.do(job, illness.mode)


def _told(ended: Ended) -> list[str]:
    """What is wrong with how a command ended: 0, or 2 and one line that says why."""
    lines = [line for line in ended.told.splitlines() if line.startswith("lrgd: ")]
    strange = "Traceback" in ended.told or "never retrieved" in ended.told
    if strange or ended.code not in (0, 2) or (ended.code == 2 and not lines):
        return [f"exit code {ended.code}: {ended.told[-1500:]}"]
    return []


def _while_ill(
    job: Job, place: Place, server: FaultyServer, whole: Whole, last: Ended
) -> list[str]:
    """Nothing of a faulty reply is kept, and no number comes of it."""
    kept, wrong = kept_answers(place.run), server.wrong - {b""}  # b"": what was forgotten again
    found = [f"kept: {answer[:200]!r}" for answer in kept.values() if answer in wrong]
    counted = _without_counts(server, whole.contents)
    told = _without_counts(server, contents(place.out))
    for name in ("run/journal.jsonl", "run/scores.jsonl"):
        known = counted.get(name, b"").splitlines()
        lines = told.get(name, b"").splitlines()
        found += [f"{name}: {line[:300]!r}" for line in lines if line not in known]
    if job == "evaluate" and last.code == 0:
        rows = json.loads((place.run / "report" / "results.json").read_text())["methods"]
        if len({row["n"] for row in rows}) > 1:
            found.append(f"other users in other rows: {[(r['method'], r['n']) for r in rows]}")
    return found


def _well(
    job: Job, illness: Illness, place: Place, server: FaultyServer, whole: Whole
) -> list[str]:
    ended = place.go_on(job, illness.mode)
    if ended.code != 0:
        return [f"well again: exit code {ended.code}: {ended.told[-500:]}"]
    told, wanted = (_without_counts(server, c) for c in (contents(place.out), whole.contents))
    kept = {*kept_answers(place.run).values()} & server.unreadable
    said = f"kept: {kept}" if kept else ""
    return [fault for fault in (said, differences(told, wanted), damage(place.run)) if fault]


def _without_counts(server: FaultyServer, told: dict[str, bytes]) -> dict[str, bytes]:
    """Where the server did not count tokens, all but the counts and the pages that show them."""
    if not USAGE & server.met.keys():
        return told
    lines = {name: content for name, content in told.items() if name.endswith(".jsonl")}
    quality = {name: told[name] for name in told if name.endswith(("quality.md", "memory"))}
    return {name: _uncounted(content) for name, content in lines.items()} | quality


def _uncounted(content: bytes) -> bytes:
    records = [json.loads(line) for line in content.splitlines()]
    for record in records:
        record.pop("usage", None)
    return "\n".join(sorted(json.dumps(record) for record in records)).encode()
