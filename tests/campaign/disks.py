"""A disk that is full, breaks, is slow or small, and everything that must hold after it."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any, Literal, get_args

from tests.campaign.commands import Disturbance, Ended
from tests.campaign.folders import contents, damage, differences
from tests.campaign.jobs import Job, Place

Way = Literal["full", "broken", "slow", "small"]
"""At a random event: no more room, one call fails (EIO), each call takes 1 ms and each sync 8; or a
real file system (tmpfs) with too little room."""
WAYS: tuple[Way, ...] = get_args(Way)
MODE = "decision"


@dataclass(frozen=True)
class Disk:
    """How the disk is under a job. Follows from its number alone."""

    job: Job
    number: int

    @property
    def way(self) -> Way:
        return WAYS[self.number % len(WAYS)]

    def disturbance(self, events: int) -> Disturbance:
        """Where it begins."""
        if self.way == "small":
            return Disturbance()
        return Disturbance(Random(f"{self.job} {self.number}").randint(1, events), self.way)

    @property
    def kib(self) -> int:
        """Room on a small disk: a run of this size takes some 800 KiB."""
        return Random(f"{self.job} {self.number}").randint(8, 700)


def tried(disk: Disk, place: Place) -> dict[str, Any]:
    """Do a job on a bad disk, then the rest on a good one; compare.

    Returns:
        What there was, for the records; `fault` says what did not hold, "" where all did.
    """
    whole = place.whole(disk.job, MODE)
    place.begin(disk.job, MODE)
    with _room(place.out, disk.kib if disk.way == "small" else None):
        ended = place.do(disk.job, MODE, disk.disturbance(whole.events))
        faults = _told(ended, disk.way)
        if disk.way == "small":
            subprocess.run(["mount", "-o", "remount,size=50m", str(place.out)], check=True)
        last = place.go_on(disk.job, MODE)
        faults += [f"resumed: exit code {last.code}: {last.told[-500:]}"] if last.code else []
        told = differences(contents(place.out), whole.contents), damage(place.out)
    lines = ended.told.splitlines()
    said = lines[-1] if ended.code and lines else ""
    found = {"code": ended.code, "said": said, "fault": "; ".join([*faults, *filter(None, told)])}
    return {**asdict(disk), "way": disk.way, **found}


def mountable(folder: Path) -> bool:
    """Whether file systems may be mounted here."""
    try:
        with _room(folder, 100):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


@contextmanager
def _room(folder: Path, kib: int | None) -> Iterator[None]:
    """A file system of its own at a folder; the one that is there where None."""
    if kib is None:
        yield
        return
    folder.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "none", str(folder)]
    subprocess.run(mount, check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def _told(ended: Ended, way: Way) -> list[str]:
    """What is wrong with how a command ended: one line that says what the machine refused."""
    if way == "slow" or ended.code == 0:
        return [] if ended.code == 0 else [f"exit code {ended.code}: {ended.told[-500:]}"]
    last = (ended.told.splitlines() or [""])[-1]
    strange = "Traceback" in ended.told or "never retrieved" in ended.told
    if ended.code != 2 or strange or not last.startswith("lrgd: "):
        return [f"exit code {ended.code}: {ended.told[-1500:]}"]
    return []
