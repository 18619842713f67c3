from typing import Any

import pytest
from langchain_core.messages import AIMessageChunk, HumanMessage, SystemMessage

from lrgd.agents.endpoint.chat import EndpointChatModel
from lrgd.agents.endpoint.client import (
    EndpointSettings,
    Usage,
    connect,
    translated_errors,
    usage_of,
)
from lrgd.core.errors import EndpointError
from tests.loopback import Answer, LoopbackModel, completion


def cut_off(path: str, body: dict[str, Any]) -> Answer:
    answer = completion("red kite then old")
    answer["choices"][0]["finish_reason"] = "length"
    return 200, answer, {}


async def test_messages_and_further_arguments_are_sent_as_they_are() -> None:
    with LoopbackModel(cut_off) as server:
        async with connect(EndpointSettings(server.url, "m")) as endpoint:
            model = endpoint.chat_model(temperature=0.5, max_tokens=9)
            asked = [SystemMessage("Be brief."), HumanMessage("What now?")]
            answer = await model.ainvoke(asked, stop=["\n"], seed=7)
    ((path, body, _),) = server.requests
    assert path == "/v1/chat/completions"
    assert body == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "What now?"},
        ],
        "temperature": 0.5,
        "max_completion_tokens": 9,
        "stop": ["\n"],
        "seed": 7,
    }
    assert answer.text == "red kite then old"
    assert answer.response_metadata["finish_reason"] == "length"
    assert answer.usage_metadata == {"input_tokens": 5, "output_tokens": 3, "total_tokens": 8}


async def test_a_streamed_answer_says_the_same_word_by_word() -> None:
    with LoopbackModel() as server:
        async with connect(EndpointSettings(server.url, "m")) as endpoint:
            model = endpoint.chat_model(temperature=0.0, max_tokens=9)
            whole = await model.ainvoke("What now?")
            parts = [part async for part in model.astream("What now?")]
    streamed = sum(parts[1:], parts[0])
    assert isinstance(streamed, AIMessageChunk)
    assert len([part for part in parts if part.text]) == len(whole.text.split()) > 1
    assert streamed.text == whole.text
    assert streamed.usage_metadata == whole.usage_metadata
    assert streamed.response_metadata == {"finish_reason": "stop", "reasoning_chars": 0}


@pytest.mark.parametrize(
    "answer",
    [{}, {"choices": []}, {"choices": [{}]}, [], b"<html>busy</html>"],
    ids=["empty", "no choice", "no message", "a list", "a page"],
)
async def test_an_answer_of_another_shape_is_our_error(answer: Any) -> None:
    with LoopbackModel(lambda path, body: (200, answer, {})) as server:
        async with connect(EndpointSettings(server.url, "m", max_retries=0)) as endpoint:
            model = endpoint.chat_model(temperature=0.0, max_tokens=9)
            told = pytest.raises(EndpointError, match=r"HTTP 200, but (it is no answer|what came)")
            with told, translated_errors(endpoint.name):
                await model.ainvoke("What now?")


@pytest.mark.parametrize("counted", [None, {}, {"prompt_tokens": 5, "completion_tokens": None}])
async def test_an_answer_without_text_or_count_is_an_answer(counted: Any) -> None:
    answer = completion("") | {"usage": counted}
    answer["choices"][0]["message"] = {"role": "assistant", "content": None, "refusal": "No."}
    with LoopbackModel(lambda path, body: (200, answer, {})) as server:
        async with connect(EndpointSettings(server.url, "m")) as endpoint:
            said = await endpoint.chat_model(temperature=0.0, max_tokens=9).ainvoke("What now?")
    prompt_tokens = 5 if counted else 0
    assert (said.text, usage_of(said)) == ("", Usage(1, prompt_tokens, unknown=int(not counted)))
    assert said.response_metadata["finish_reason"] == "refusal"


def thought(path: str, body: dict[str, Any]) -> Answer:
    return 200, completion("<think>\nA red kite?\n</think>\n\nLikes old boats."), {}


async def test_reasoning_is_counted_and_never_part_of_the_answer_streamed_or_not() -> None:
    with LoopbackModel(thought) as server:
        async with connect(EndpointSettings(server.url, "m")) as endpoint:
            model = endpoint.chat_model(temperature=0.0, max_tokens=9)
            whole = await model.ainvoke("What now?")
            parts = [part.text async for part in model.astream("What now?")]
    assert whole.text == "Likes old boats."
    assert whole.response_metadata["reasoning_chars"] == len("A red kite?")
    assert [part for part in parts if part] == ["Likes ", "old ", "boats."]


async def test_reasoning_beside_the_content_is_counted_streamed_or_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer = completion("Likes boats.")
    answer["choices"][0]["message"]["reasoning_content"] = "A red kite?"
    deltas = [{"reasoning_content": "A red "}, {"reasoning_content": "kite?"}]
    deltas += [{"content": "Likes "}, {"content": "boats."}]
    chunks = [{"choices": [{"delta": delta}]} for delta in deltas]
    monkeypatch.setattr("tests.loopback.events", lambda answer: chunks)
    with LoopbackModel(lambda path, body: (200, answer, {})) as server:
        settings = EndpointSettings(server.url, "m", thinking="always on")
        async with connect(settings) as endpoint:
            model = endpoint.chat_model(temperature=0.0, max_tokens=9)
            whole = await model.ainvoke("What now?")
            parts = [part async for part in model.astream("What now?")]
    assert whole.text == "Likes boats."
    assert whole.response_metadata["reasoning_chars"] == len("A red kite?")
    assert [part.text for part in parts if part.text] == ["Likes ", "boats."]
    assert sum(parts[1:], parts[0]).response_metadata == {"reasoning_chars": len("A red kite?")}


async def test_an_answer_cut_off_after_its_thoughts_is_an_answer() -> None:
    answer = completion("Likes boats. Wants")
    answer["choices"][0] |= {"finish_reason": "length"}
    answer["choices"][0]["message"]["reasoning"] = "A red kite?"
    with LoopbackModel(lambda path, body: (200, answer, {})) as server:
        settings = EndpointSettings(server.url, "m", thinking="always on")
        async with connect(settings) as endpoint:
            model = endpoint.chat_model(temperature=0.0, max_tokens=9)
            assert (await model.ainvoke("What now?")).text == "Likes boats. Wants"


async def test_a_model_that_always_thinks_has_no_answer_before_its_thoughts_end() -> None:
    with LoopbackModel(cut_off) as server:
        settings = EndpointSettings(server.url, "m", thinking="always on")
        async with connect(settings) as endpoint:
            model = endpoint.chat_model(temperature=0.0, max_tokens=9)
            answer = await model.ainvoke("What now?")
    assert answer.text == ""
    assert answer.response_metadata["reasoning_chars"] == len("red kite then old")


async def test_thinking_is_turned_off_by_the_chat_template() -> None:
    with LoopbackModel() as server:
        settings = EndpointSettings(server.url, "m", thinking="turned off")
        async with connect(settings) as endpoint:
            await endpoint.chat_model(temperature=0.0, max_tokens=9).ainvoke("What now?")
            assert endpoint.chat_options.items() <= server.requests[0][1].items()
    assert server.requests[0][1]["chat_template_kwargs"] == {"enable_thinking": False}


async def test_it_is_asked_asynchronously_only() -> None:
    async with connect(EndpointSettings("http://127.0.0.1:9/v1", "m")) as endpoint:
        model: EndpointChatModel = endpoint.chat_model(temperature=0.0, max_tokens=9)
        with pytest.raises(NotImplementedError, match="ainvoke"):
            model.invoke("What now?")
