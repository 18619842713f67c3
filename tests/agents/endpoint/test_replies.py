"""Every reply is an answer or one of the kinds of none, whatever a server sends."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage
from langgraph.cache.memory import InMemoryCache

from lrgd.agents.endpoint.client import EndpointSettings, connect, translated_errors
from lrgd.agents.endpoint.replies import (
    CHAT,
    Kind,
    body_reply,
    chat_reply,
    message_reply,
    usage_in,
)
from lrgd.agents.ranking.listwise import ListwiseRanker
from lrgd.agents.values import Usage
from lrgd.core.errors import EndpointError, EndpointUnavailable, RankingFailed
from tests.loopback import Answer, LoopbackModel, completion
from tests.scripted import CONTEXT, task

CANDIDATES = task().candidates
ANALYSIS, FINAL = "<|channel|>analysis<|message|>", "<|channel|>final<|message|>"
THOUGHT = {"type": "thinking", "thinking": "so"}
LIST = "old lamp\nred kite"


def chat(content: Any, finish: str | None = "stop", **message: Any) -> dict[str, Any]:
    return {"choices": [{"finish_reason": finish, "message": {"content": content, **message}}]}


@pytest.mark.parametrize(
    ("body", "kind", "text"),
    [
        (chat("Hello."), "answer", "Hello."),
        (chat("Hello.", None), "answer", "Hello."),
        (chat("Hel", "length"), "answer", "Hel"),
        (chat("<think>so</think>Hello."), "answer", "Hello."),
        (chat("so</think>Hello."), "answer", "Hello."),
        (chat(f"{ANALYSIS}so<|end|>{FINAL}Hi"), "answer", "Hi"),
        (chat("analysisWe so.assistantfinalHi"), "answer", "Hi"),
        (chat([{"type": "text", "text": "Hi"}]), "answer", "Hi"),
        (chat([THOUGHT, {"type": "text", "text": "Hi"}]), "answer", "Hi"),
        (chat("Hi", reasoning_content="so"), "answer", "Hi"),
        (chat("a\ud83cb"), "answer", "a\ufffdb"),
        (chat("<think>so</think>"), "reasoning", ""),
        (chat(None, reasoning_content="so"), "reasoning", ""),
        (chat([{"type": "thinking", "thinking": "so"}]), "reasoning", ""),
        (chat("<think>so", "length"), "cut_off", ""),
        (chat(None, "length", reasoning="so"), "cut_off", ""),
        (chat(None, "length"), "cut_off", ""),
        (chat("", "max_tokens"), "cut_off", ""),
        (chat(""), "empty", ""),
        (chat(" \n"), "empty", ""),
        (chat(None), "empty", ""),
        (chat([]), "empty", ""),
        (chat("I can", "content_filter"), "refused", "I can"),
        (chat(None, "SAFETY"), "refused", ""),
        (chat(None, refusal="No."), "refused", ""),
        ({"error": {"message": "overloaded"}}, "error", ""),
        ({"error": "overloaded"}, "error", ""),
        ({"choices": [{"error": {"message": "overloaded"}}]}, "error", ""),
        (chat("Hel", "error"), "error", ""),
        ({}, "error", ""),
        ([], "error", ""),
        (None, "error", ""),
        ("Hello.", "error", ""),
        ({"choices": []}, "error", ""),
        ({"choices": [{}]}, "error", ""),
        (chat(7), "error", ""),
    ],
)  # fmt: skip
def test_a_reply_is_sorted_by_what_it_holds(body: Any, kind: Kind, text: str) -> None:
    reply = body_reply(CHAT, json.dumps(body).encode())
    assert (reply.kind, reply.text) == (kind, text)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>busy</html>",
        b"{",
        b'{"a": NaN}',
        b"[Infinity]",
        b"null",
        b"[]",
        b'"Hello."',
        b"7",
    ],
)
@pytest.mark.parametrize("path", [CHAT, "/v1/systemone", "/tokenize"])
def test_what_is_no_json_object_is_an_error_on_any_path(path: str, content: bytes) -> None:
    assert body_reply(path, content).kind == "error"


def test_an_error_beside_an_ending_keeps_its_own_status() -> None:
    known = body_reply("/v1/rerank", b'{"error": {"message": "no such model", "code": 404}}')
    assert (known.status, known.reason) == (404, "it tells an error: no such model")
    assert body_reply("/v1/rerank", b'{"error": {"message": "x", "code": "later"}}').status == 502


def test_log_probabilities_are_an_answer_whatever_the_token_is() -> None:
    body = chat("<think>", "length")
    body["choices"][0]["logprobs"] = {"content": [{"top_logprobs": []}]}
    assert chat_reply(body).kind == "answer"
    body["choices"][0]["finish_reason"] = "content_filter"
    assert chat_reply(body).kind == "refused"


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (AIMessage("Hi"), "answer"),
        (AIMessage(""), "empty"),
        (AIMessage("<think>so</think>"), "reasoning"),
        (AIMessage("", additional_kwargs={"reasoning_content": "so"}), "reasoning"),
        (AIMessage("", additional_kwargs={"refusal": "No."}), "refused"),
        (AIMessage("", response_metadata={"finish_reason": "length"}), "cut_off"),
        (AIMessage("", response_metadata={"stop_reason": "max_tokens"}), "cut_off"),
    ],
)
def test_messages_of_any_chat_model_are_sorted_alike(message: AIMessage, kind: Kind) -> None:
    assert message_reply(message).kind == kind


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        (None, Usage(1, 0, 0, 1)),
        ({}, Usage(1, 0, 0, 1)),
        ("many", Usage(1, 0, 0, 1)),
        ({"prompt_tokens": None, "completion_tokens": None}, Usage(1, 0, 0, 1)),
        ({"prompt_tokens": -5}, Usage(1, 0, 0, 1)),
        ({"prompt_tokens": 5, "completion_tokens": 3}, Usage(1, 5, 3)),
        ({"prompt_tokens": 5.0}, Usage(1, 5, 0)),
        ({"input_tokens": 7, "output_tokens": 1}, Usage(1, 7, 1)),
        ({"total_tokens": 9}, Usage(1, 9, 0)),
    ],
)
def test_what_a_server_does_not_count_is_0_and_counted_as_unknown(
    usage: Any, counted: Usage
) -> None:
    assert usage_in({"usage": usage}) == counted


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
TEXTS = st.sampled_from(
    ["", " ", "Hi", "<think>", "</think>", "<think>so</think>", "\ud83c", "old lamp", "1. red kite"]
)
MESSAGES = st.fixed_dictionaries(
    {},
    optional={
        "content": TEXTS | JSON | st.lists(st.fixed_dictionaries({"type": TEXTS, "text": TEXTS})),
        "reasoning_content": TEXTS | JSON,
        "refusal": st.none() | TEXTS | JSON,
    },
)
FINISHES = st.sampled_from(["stop", "length", "content_filter", "error", "", None]) | JSON
CHOICES = st.fixed_dictionaries(
    {},
    optional={
        "message": MESSAGES | JSON,
        "finish_reason": FINISHES,
        "logprobs": JSON,
        "error": st.none() | JSON,
    },
)
BODIES = JSON | st.fixed_dictionaries(
    {},
    optional={
        "choices": st.lists(CHOICES, max_size=2) | JSON,
        "usage": JSON,
        "error": st.none() | JSON,
    },
)


@given(BODIES)
def test_no_reply_of_any_shape_is_a_traceback(body: Any) -> None:
    reply = body_reply(CHAT, json.dumps(body).encode("utf-8", "surrogatepass"))
    assert reply.kind != "answer" or reply.text.strip() or '"logprobs"' in json.dumps(body)
    reply.text.encode()
    if isinstance(body, dict):
        usage_in(body)


@given(body=BODIES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
async def test_no_ranking_comes_of_a_reply_that_is_none(body: Any) -> None:
    content = json.dumps(body).encode("utf-8", "surrogatepass")
    sorted_, cache = body_reply(CHAT, content), InMemoryCache[bytes]()
    with LoopbackModel(lambda path, asked: (200, content, {})) as server:
        asked = EndpointSettings(server.url, "m", max_retries=0)
        async with connect(asked, cache=cache) as endpoint:
            ranker = ListwiseRanker(endpoint.chat_model(temperature=0.0, max_tokens=9))
            try:
                ranking = await ranker.rank(CONTEXT, CANDIDATES)
            except EndpointError:
                assert sorted_.kind != "answer" or sorted_.truncated
            else:
                assert sorted_.kind == "answer"
                assert sorted(ranking.order) == sorted(c.id for c in CANDIDATES)
            again = len(server.requests)
            with suppress(EndpointError):
                await ranker.rank(CONTEXT, CANDIDATES)
            assert (len(server.requests) == again) == (sorted_.kind == "answer")


@pytest.mark.parametrize(
    ("first", "requests"),
    [
        ({"error": {"message": "overloaded"}}, 2),
        ({"error": {"message": "later", "code": 429}}, 2),
        (chat(""), 2),
        ({"detail": "warming up"}, 2),
    ],
)
async def test_an_error_in_the_place_of_an_answer_is_asked_again(first: Any, requests: int) -> None:
    answers = [completion(LIST), first]
    with LoopbackModel(lambda path, body: (200, answers.pop(), {})) as server:
        asked = EndpointSettings(server.url, "m", max_retries=2)
        async with connect(asked, cache=InMemoryCache()) as endpoint:
            ranker = ListwiseRanker(endpoint.chat_model(temperature=0.0, max_tokens=9))
            assert (await ranker.rank(CONTEXT, CANDIDATES)).order[0] == "c3"
            assert (await ranker.rank(CONTEXT, CANDIDATES)).order[0] == "c3"  # kept
    assert len(server.requests) == requests


def always(body: Any) -> Any:
    return lambda path, asked: (200, body, {})


async def test_retries_are_bounded_and_an_empty_reply_is_asked_for_twice_at_most() -> None:
    with LoopbackModel(always({"error": {"message": "overloaded"}})) as server:
        async with connect(EndpointSettings(server.url, "m", max_retries=2)) as endpoint:
            ranker = ListwiseRanker(endpoint.chat_model(temperature=0.0, max_tokens=9))
            with pytest.raises(EndpointUnavailable, match="HTTP 200, but it tells an error: over"):
                await ranker.rank(CONTEXT, CANDIDATES)
            assert len(server.requests) == 3
            server.respond = always(chat(""))
            with pytest.raises(RankingFailed, match="its answer is empty"):
                await ranker.rank(CONTEXT, CANDIDATES)
            assert len(server.requests) == 3 + 2
            server.respond = always({"error": {"message": "bad", "code": 400}})
            with pytest.raises(EndpointError, match="bad"):
                await ranker.rank(CONTEXT, CANDIDATES)
            assert len(server.requests) == 3 + 2 + 1


@pytest.mark.parametrize(
    ("body", "kind", "told"),
    [
        (chat(None, "content_filter"), "refused", "a content filter"),
        (chat(None, refusal="No."), "refused", "it refused"),
        (chat(None, "length"), "cut_off", "raise --ranking-tokens"),
        (chat("Sure! Here is the ranking", "length"), "cut_off", "raise --ranking-tokens"),
        (chat("<think>old lamp</think>"), "reasoning", "gave no answer"),
    ],
)
async def test_a_failed_ranking_says_why_and_what_it_cost(body: Any, kind: Kind, told: str) -> None:
    used = {"prompt_tokens": 5, "completion_tokens": 3}
    with LoopbackModel(always({**body, "usage": used})) as server:
        async with connect(EndpointSettings(server.url, "m")) as endpoint:
            ranker = ListwiseRanker(endpoint.chat_model(temperature=0.0, max_tokens=9), "m")
            with pytest.raises(RankingFailed, match=told) as caught:
                await ranker.rank(CONTEXT, CANDIDATES)
    assert (caught.value.kind, caught.value.paid) == (kind, Usage(1, 5, 3).counts)
    assert len(server.requests) == 1


async def test_a_list_that_was_cut_off_after_a_title_is_a_ranking() -> None:
    with LoopbackModel(always(chat("old lamp\nred k", "length"))) as server:
        async with connect(EndpointSettings(server.url, "m")) as endpoint:
            ranker = ListwiseRanker(endpoint.chat_model(temperature=0.0, max_tokens=9))
            ranking = await ranker.rank(CONTEXT, CANDIDATES)
    assert (ranking.order[0], ranking.audit.truncated) == ("c3", True)


async def test_what_an_earlier_version_kept_wrongly_is_asked_again() -> None:
    cache = InMemoryCache[bytes]()
    with LoopbackModel(always(completion(LIST))) as server:
        async with connect(EndpointSettings(server.url, "m"), cache=cache) as endpoint:
            ranker = ListwiseRanker(endpoint.chat_model(temperature=0.0, max_tokens=9))
            await ranker.rank(CONTEXT, CANDIDATES)
            [(place, _)] = [
                ((ns, key), v) for ns, of in cache._cache.items() for key, v in of.items()
            ]
            await cache.aset({place: (b'{"error": {"message": "overloaded"}}', None)})
            assert (await ranker.rank(CONTEXT, CANDIDATES)).order[0] == "c3"
    assert len(server.requests) == 2


STREAMS: list[tuple[list[Any], str]] = [
    ([{"id": "x"}, {"choices": []}, {"choices": None}], ""),
    ([{"choices": [{"delta": None}]}, {"choices": [{"delta": {"content": "Hi"}}]}], "Hi"),
    ([{"choices": [{"delta": {"content": "Hi"}}]}, {"usage": {"prompt_tokens": None}}], "Hi"),
    ([{"choices": [{"delta": {"content": None, "role": None}}]}, {"choices": [{}]}], ""),
]


@pytest.mark.parametrize(("events", "text"), STREAMS)
async def test_events_of_a_stream_may_say_nothing(
    monkeypatch: pytest.MonkeyPatch, events: list[Any], text: str
) -> None:
    monkeypatch.setattr("tests.loopback.events", lambda answer: events)
    with LoopbackModel(always(completion("Hi"))) as server:
        async with connect(EndpointSettings(server.url, "m", max_retries=0)) as endpoint:
            model = endpoint.chat_model(temperature=0.0, max_tokens=9)
            parts = [part async for part in model.astream("What now?")]
    assert "".join(str(part.text) for part in parts) == text


@pytest.mark.parametrize("error", [{"error": {"message": "overloaded"}}, [], "no"])
async def test_an_error_in_mid_stream_is_one_line(
    monkeypatch: pytest.MonkeyPatch, error: Any
) -> None:
    began = {"choices": [{"delta": {"content": "Hi"}}]}
    monkeypatch.setattr("tests.loopback.events", lambda answer: [began, error])
    with LoopbackModel(always(completion("Hi"))) as server:
        async with connect(EndpointSettings(server.url, "m", max_retries=0)) as endpoint:
            model = endpoint.chat_model(temperature=0.0, max_tokens=9)
            with pytest.raises(EndpointError), translated_errors(endpoint.name):
                async for _ in model.astream("What now?"):
                    pass


@given(
    st.lists(JSON | st.fixed_dictionaries({"choices": st.lists(CHOICES, max_size=2)}), max_size=4)
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
async def test_no_stream_of_any_shape_is_a_traceback(events: list[Any]) -> None:
    def respond(path: str, body: dict[str, Any]) -> Answer:
        lines = "".join(f"data: {json.dumps(event)}\n\n" for event in [*events, "[DONE]"])
        return (
            200,
            lines.replace('"[DONE]"', "[DONE]").encode(),
            {"Content-Type": "text/event-stream"},
        )

    with LoopbackModel(respond) as server:
        async with connect(EndpointSettings(server.url, "m", max_retries=0)) as endpoint:
            model = endpoint.chat_model(temperature=0.0, max_tokens=9)
            with suppress(EndpointError), translated_errors(endpoint.name):
                async for _ in model.astream("What now?"):
                    pass
