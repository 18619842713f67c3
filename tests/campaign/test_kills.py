"""kill -9 at random points, also inside writes: nothing lost, nothing paid twice, nothing else."""

from typing import get_args

import pytest

from tests.campaign.jobs import Job, Place
from tests.campaign.kills import Point, tried
from tests.campaign.records import Records, points

JOBS: tuple[Job, ...] = get_args(Job)
SHARES = {"optimize": 0.65, "evaluate": 0.23, "suite": 0.12}
"""Of the points: a suite takes four times as long as an optimisation."""


@pytest.mark.parametrize(
    ("job", "number"), [("optimize", 1), ("optimize", 5), ("evaluate", 5), ("suite", 1)]
)
def test_a_killed_job_goes_on_as_if_nothing_had_been(place: Place, job: Job, number: int) -> None:
    found = tried(Point(job, number), place)
    assert found["fault"] == ""
    assert found["events"]


@pytest.mark.campaign
@pytest.mark.parametrize("job", JOBS)
def test_many_killed_jobs_go_on_as_if_nothing_had_been(place: Place, job: Job) -> None:
    records = Records("kills")
    known = {point["number"]: point for point in records if point["job"] == job}
    for number in points("kills", 1000, SHARES[job]):
        if number not in known:
            known[number] = tried(Point(job, number), place)
            records.add(known[number])
    assert {n: point["fault"] for n, point in known.items() if point["fault"]} == {}
