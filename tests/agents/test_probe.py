import pytest

from agents.choices import Decisions, Logprobs, SystemOne
from agents.endpoint import EndpointSettings, connect
from agents.probe import Abilities, choose_mode, chooser_for, probe
from memory.errors import EndpointError, EndpointUnavailable
from tests.loopback import LoopbackModel, Sensible


async def abilities_of(server_can: Sensible) -> Abilities:
    with LoopbackModel(server_can) as server:
        async with connect(EndpointSettings(server.url, "m")) as endpoint:
            return await probe(endpoint)


@pytest.mark.parametrize(
    ("server", "found", "mode"),
    [
        (Sensible(options=255), Abilities(systemone=255), "decision"),
        (Sensible(options=70, schema=True), Abilities(systemone=64, json_schema=True), "decision"),
        (
            Sensible(options=26, top=64, uncased=False),
            Abilities(systemone=26, top_logprobs=64, letters=52),
            "logprobs",
        ),
        (
            Sensible(options=26, top=64, uncased=True),
            Abilities(systemone=26, top_logprobs=64, letters=26),
            "decision",
        ),
        (
            Sensible(options=0, decisions=True, top=20),
            Abilities(decisions=255, top_logprobs=20, letters=52),
            "decision",
        ),
        (Sensible(options=0, top=20), Abilities(top_logprobs=20, letters=52), "logprobs"),
        (Sensible(options=0), Abilities(), "listwise"),
    ],
)
async def test_what_a_server_can_do_is_found_by_asking(
    server: Sensible, found: Abilities, mode: str
) -> None:
    assert await abilities_of(server) == found
    assert choose_mode(found)[0] == mode


async def test_a_server_that_is_not_there_is_an_error() -> None:
    async with connect(EndpointSettings("http://127.0.0.1:9/v1", "m", max_retries=0)) as endpoint:
        with pytest.raises(EndpointUnavailable):
            await probe(endpoint)


async def test_a_mode_that_the_server_lacks_is_refused_with_one_that_it_has() -> None:
    async with connect(EndpointSettings("http://127.0.0.1:9/v1", "m")) as endpoint:
        can = Abilities(systemone=26, decisions=255, top_logprobs=20, letters=26)
        assert chooser_for(endpoint, "decision", can) == (Decisions(endpoint), 255)
        assert chooser_for(endpoint, "logprobs", can) == (Logprobs(endpoint, 20), 20)
        only = Abilities(systemone=26)
        assert chooser_for(endpoint, "decision", only) == (SystemOne(endpoint), 26)
        with pytest.raises(EndpointError, match="cannot rank by logprobs: try --ranking decision"):
            chooser_for(endpoint, "logprobs", only)
        with pytest.raises(EndpointError, match="try --ranking listwise"):
            chooser_for(endpoint, "decision", Abilities())
