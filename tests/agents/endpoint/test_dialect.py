"""How a server wants to be asked is found by asking, remembered, and said; secrets are not."""

import base64
import logging
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrgd.agents.endpoint.address import address_of
from lrgd.agents.endpoint.client import EndpointSettings, connect
from lrgd.agents.endpoint.dialect import DIALECTS, LIMIT, OLD_LIMIT, OPTIONAL, Dialect
from lrgd.agents.endpoint.inquiry import spoken_dialect
from lrgd.agents.endpoint.notices import OVER_LIMIT
from lrgd.agents.ranking.frame import Tokenizer
from lrgd.agents.ranking.probe import probe
from lrgd.core.errors import EndpointError, EndpointUnavailable, InputError
from tests.loopback import Answer, LoopbackModel, Sensible, completion


async def found(respond: Any, url: str = "{}") -> tuple[Dialect, LoopbackModel]:
    with LoopbackModel(respond) as server:
        asked = EndpointSettings(url.format(server.url), "m", max_retries=0)
        async with connect(asked) as endpoint:
            return await spoken_dialect(endpoint), server


def refusing(*names: str, status: int = 422) -> Any:
    def respond(path: str, body: dict[str, Any]) -> Answer:
        return (status, {}, {}) if body.keys() & set(names) else (200, completion("1, 2"), {})

    return respond


@pytest.mark.parametrize(
    ("refused", "dialect", "told"),
    [
        ([], Dialect(), ""),
        (["seed"], Dialect(("seed",)), "without seed"),
        (["temperature"], Dialect(("temperature",)), "without temperature"),
        ([LIMIT], Dialect(limit=OLD_LIMIT), "the token limit as max_tokens"),
        (
            ["seed", LIMIT],
            Dialect(("seed",), OLD_LIMIT),
            "without seed, the token limit as max_tokens",
        ),
        ([*OPTIONAL], Dialect(OPTIONAL), "without seed, without temperature"),
        (
            [*OPTIONAL, LIMIT, OLD_LIMIT],
            Dialect((*OPTIONAL, OLD_LIMIT), OLD_LIMIT),
            "without seed, without temperature, without max_tokens",
        ),
    ],
)
@pytest.mark.parametrize("status", [400, 422])
async def test_what_a_server_refuses_is_left_out_or_renamed(
    refused: list[str], dialect: Dialect, told: str, status: int
) -> None:
    spoken, server = await found(refusing(*refused, status=status))
    assert (spoken, spoken.differences) == (dialect, told)
    assert len(server.requests) <= len(DIALECTS)
    # As a run asks.
    assert {"seed", "temperature", LIMIT} <= server.requests[0][1].keys()


@given(st.sets(st.sampled_from([*OPTIONAL, LIMIT, OLD_LIMIT])))
def test_there_is_a_dialect_for_every_set_of_refusals(refused: set[str]) -> None:
    body = {"seed": 1, "temperature": 0.0, LIMIT: 5, "model": "m"}
    spoken = [dialect.spoken(body) for dialect in DIALECTS]
    accepted = [said for said in spoken if not said.keys() & refused]
    assert accepted
    wanted = {*OPTIONAL, LIMIT, OLD_LIMIT} - refused
    assert {*OPTIONAL} & wanted <= accepted[0].keys()
    assert all(said["model"] == "m" for said in spoken)


async def test_a_server_that_refuses_all_is_an_error_with_its_first_words() -> None:
    def respond(path: str, body: dict[str, Any]) -> Answer:
        return 400, {"error": {"message": "no chat template" if "seed" in body else "no"}}, {}

    with pytest.raises(EndpointError, match="no chat template"):
        await found(respond)


async def test_a_run_is_asked_in_the_dialect_that_the_probe_found() -> None:
    def respond(path: str, body: dict[str, Any]) -> Answer:
        if body.keys() & {"seed", LIMIT}:
            return 422, {}, {}
        return Sensible(options=0, top=20)(path, body)

    with LoopbackModel(respond) as server:
        asked = EndpointSettings(server.url, "m", max_retries=0)
        async with connect(asked) as endpoint:
            abilities = await probe(endpoint)
        assert abilities.dialect == Dialect(("seed",), OLD_LIMIT)
        assert abilities.top_logprobs == 20
        async with connect(abilities.known(asked)) as endpoint:
            model = endpoint.chat_model(temperature=0.5, max_tokens=9)
            assert (await model.ainvoke("Hello", seed=7)).text
    said = server.requests[-1][1]
    assert (said[OLD_LIMIT], said["temperature"]) == (9, 0.5)


def talkative(obeyed: str | None, counts: bool = True) -> Any:
    """Writes 300 words unless it is told a limit by this name."""

    def respond(path: str, body: dict[str, Any]) -> Answer:
        tokens = body.get(obeyed, 300) if obeyed else 300
        answer = completion("seventeen " * tokens)
        answer["usage"] = {"prompt_tokens": 1, "completion_tokens": tokens} if counts else None
        return 200, answer, {}

    return respond


@pytest.mark.parametrize("counts", [True, False])
async def test_a_token_limit_that_is_ignored_is_noticed_and_its_old_name_tried(
    counts: bool, caplog: pytest.LogCaptureFixture
) -> None:
    assert (await found(talkative(LIMIT, counts)))[0] == Dialect()
    assert (await found(talkative(OLD_LIMIT, counts)))[0] == Dialect(limit=OLD_LIMIT)
    ignored, _ = await found(talkative(None, counts))
    assert ignored == Dialect(limit_ignored=True)
    assert ignored.differences == "the token limit is ignored"
    with LoopbackModel(talkative(None, counts)) as server:
        async with connect(EndpointSettings(server.url, "m")) as endpoint:
            model = endpoint.chat_model(temperature=0.0, max_tokens=64)
            for question in "abc":
                await model.ainvoke(question)
            assert endpoint.meter.notices.counts == {OVER_LIMIT: 3}
    told = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert len(told) == 1
    assert "where 64 were allowed: its server ignores the token limit" in told[0]


def below(prefix: str, status: int = 404) -> Any:
    def respond(path: str, body: dict[str, Any]) -> Answer:
        there = path.split("?")[0] == f"{prefix}/chat/completions"
        return (200, completion("1, 2"), {}) if there else (status, {}, {})

    return respond


@pytest.mark.parametrize("status", [404, 405, 422, 200])
async def test_v1_is_found_where_the_url_lacks_it(status: int) -> None:
    respond = below("/x/v1", status) if status != 200 else _page_unless("/x/v1")
    with LoopbackModel(respond) as server:
        base = server.url.removesuffix("/v1") + "/x"
        async with connect(EndpointSettings(base, "m", max_retries=0)) as endpoint:
            spoken = await spoken_dialect(endpoint)
            assert spoken == Dialect(v1=True)
            assert endpoint.with_dialect(spoken).name == f"m at {base}/v1"


def _page_unless(prefix: str) -> Any:
    """A web page in the place of every other path."""

    def respond(path: str, body: dict[str, Any]) -> Answer:
        if path == f"{prefix}/chat/completions":
            return 200, completion("1, 2"), {}
        return 200, b"<html>a chat</html>", {"Content-Type": "text/html"}

    return respond


async def test_v1_is_left_out_where_the_server_is_without() -> None:
    spoken, _ = await found(below(""))
    assert spoken == Dialect(v1=False)


async def test_a_model_that_is_nowhere_is_the_error_of_the_url_that_was_named() -> None:
    def respond(path: str, body: dict[str, Any]) -> Answer:
        return 404, {"error": {"message": f"not at {path}"}}, {}

    with pytest.raises(EndpointError, match="not at /v1/chat/completions"):
        await found(respond)


async def test_a_query_stays_on_every_request_and_is_not_shown() -> None:
    paths: list[str] = []

    def respond(path: str, body: dict[str, Any]) -> Answer:
        paths.append(path)
        return Sensible(uncased=False)(path.split("?")[0], body)

    with LoopbackModel(respond) as server:
        base = server.url.replace("/v1", "/v1?api-version=1&code=s3cr3tquery")
        async with connect(EndpointSettings(base, "m", max_retries=0)) as endpoint:
            await spoken_dialect(endpoint)
            await Tokenizer(endpoint).tokens("a")
            assert endpoint.name == f"m at {server.url}"
    query = "?api-version=1&code=s3cr3tquery"
    assert paths == [f"/v1/chat/completions{query}", f"/tokenize{query}"]


SECRET = "hunter22"


async def test_user_and_password_are_sent_and_never_shown() -> None:
    with LoopbackModel() as server:
        base = server.url.replace("http://", f"http://ann:{SECRET}@")
        asked = EndpointSettings(base, "m", max_retries=0)
        async with connect(asked) as endpoint:
            await spoken_dialect(endpoint)
            assert SECRET not in endpoint.name
            assert SECRET not in repr(endpoint.settings)
    pair = base64.b64encode(f"ann:{SECRET}".encode()).decode()
    assert server.requests[0][2] == f"Basic {pair}"
    assert SECRET not in address_of(base).url
    assert SECRET not in repr(address_of(base))


@pytest.mark.parametrize("status", [401, 400, 500, 200])
async def test_a_server_that_repeats_the_secrets_does_not_get_them_into_the_message(
    status: int,
) -> None:
    pair = base64.b64encode(f"ann:{SECRET}".encode()).decode()

    def respond(path: str, body: dict[str, Any]) -> Answer:
        return status, {"error": {"message": f"wrong: {pair} at {path}"}}, {}

    with LoopbackModel(respond) as server:
        base = server.url.replace("http://", f"http://ann:{SECRET}@") + "?code=s3cr3tquery"
        async with connect(EndpointSettings(base, "m", max_retries=0)) as endpoint:
            with pytest.raises(EndpointError, match="wrong") as caught:
                await spoken_dialect(endpoint)
    assert "s3cr3tquery" not in str(caught.value)
    assert pair not in str(caught.value)


async def test_a_server_that_is_not_there_is_named_without_the_password() -> None:
    base = f"http://ann:{SECRET}@127.0.0.1:9/v1?code=s3cr3tquery"
    async with connect(EndpointSettings(base, "m", max_retries=0)) as endpoint:
        with pytest.raises(EndpointUnavailable, match=r"m at http://127\.0\.0\.1:9/v1:") as caught:
            await spoken_dialect(endpoint)
    assert SECRET not in str(caught.value)
    assert "s3cr3tquery" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["", "nonsense", "127.0.0.1:8000/v1", "ftp://h/v1", f"ann:{SECRET}@h", "http://"],
)
async def test_what_is_no_url_is_refused_in_one_line_without_secrets(url: str) -> None:
    with pytest.raises(InputError, match="wanted a server's URL, as http://") as caught:
        async with connect(EndpointSettings(url, "m")):
            pass
    assert SECRET not in str(caught.value)


@given(st.text())
def test_any_text_as_a_url_is_an_address_or_one_error(text: str) -> None:
    with suppress(InputError):
        assert address_of(text).url.startswith("http")


def test_a_dialect_is_plain_values_in_json() -> None:
    assert asdict(Dialect(("seed",)))["left_out"] == ("seed",)
