"""Two processes on one run folder: both work, or the second says in one line who holds it."""

from typing import get_args

import pytest

from tests.campaign.jobs import Job, Place
from tests.campaign.pairs import Pair, pairs_of, tried
from tests.campaign.records import Records
from tests.loopback import LoopbackModel

JOBS: tuple[Job, ...] = get_args(Job)


@pytest.mark.parametrize(
    "pair", [Pair("optimize", "optimize", "optimize"), Pair("evaluate", "evaluate", "chat")]
)
def test_two_commands_at_once_leave_what_one_leaves(
    place: Place, listening: LoopbackModel, pair: Pair
) -> None:
    assert tried(pair, place, listening)["fault"] == ""


@pytest.mark.campaign
@pytest.mark.parametrize("job", JOBS)
def test_every_two_commands_at_once_leave_what_one_leaves(
    place: Place, listening: LoopbackModel, job: Job
) -> None:
    records = Records("pairs")
    known = {(pair["job"], pair["first"], pair["second"]): pair for pair in records}
    for pair in pairs_of(job):
        key = (pair.job, pair.first, pair.second)
        if key not in known:
            known[key] = tried(pair, place, listening)
            records.add(known[key])
    assert {key: pair["fault"] for key, pair in known.items() if pair["fault"]} == {}
