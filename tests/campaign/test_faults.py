"""A server that is ill in 50 ways and recovers: what it said in between leaves no trace."""

import pytest

from tests.campaign.faults import FAULTS
from tests.campaign.faulty_server import FaultyServer
from tests.campaign.illness import Illness, tried
from tests.campaign.jobs import Place
from tests.campaign.records import Records, points


def test_there_are_more_than_40_kinds_of_fault() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) > 40


@pytest.mark.parametrize("number", [1, 6])
def test_a_run_against_an_ill_server_ends_as_if_it_had_been_well(
    place: Place, server: FaultyServer, number: int
) -> None:
    found = tried(Illness(number), place, server)
    assert found["fault"] == ""
    assert found["met"]


@pytest.mark.campaign
def test_many_runs_against_an_ill_server_end_as_if_it_had_been_well(
    place: Place, server: FaultyServer
) -> None:
    records = Records("faults")
    known = {run["number"]: run for run in records}
    for number in points("faults", 60):
        if number not in known:
            known[number] = tried(Illness(number), place, server)
            records.add(known[number])
    assert {n: run["fault"] for n, run in known.items() if run["fault"]} == {}
