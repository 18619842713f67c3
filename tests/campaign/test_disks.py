"""A full, broken, slow or small disk ends a job in one line; the rest is as if nothing had been."""

from typing import get_args

import pytest

from tests.campaign.disks import WAYS, Disk, mountable, tried
from tests.campaign.jobs import Job, Place
from tests.campaign.records import Records, points

JOBS: tuple[Job, ...] = get_args(Job)


@pytest.mark.parametrize("number", range(len(WAYS) - 1), ids=WAYS[:-1])
def test_a_job_on_a_bad_disk_goes_on_on_a_good_one(place: Place, number: int) -> None:
    assert tried(Disk("optimize", number), place)["fault"] == ""


@pytest.mark.campaign
@pytest.mark.parametrize("job", JOBS)
def test_many_jobs_on_bad_disks_go_on_on_good_ones(place: Place, job: Job) -> None:
    records, may_mount = Records("disks"), mountable(place.folder / "mounted")
    known = {disk["number"]: disk for disk in records if disk["job"] == job}
    for number in points("disks", 120, 1 / len(JOBS)):
        disk = Disk(job, number)
        # A run that is evaluated is there before its disk is.
        if number in known or (disk.way == "small" and (job == "evaluate" or not may_mount)):
            continue
        known[number] = tried(disk, place)
        records.add(known[number])
    assert {n: disk["fault"] for n, disk in known.items() if disk["fault"]} == {}
