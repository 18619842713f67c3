from typing import Any

import pytest
from langchain_core.messages import AIMessageChunk, HumanMessage, SystemMessage

from agents.chat import EndpointChatModel
from agents.endpoint import EndpointSettings, Usage, connect, translated_errors, usage_of
from memory.errors import EndpointError
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
    assert streamed.response_metadata == {"finish_reason": "stop"}


@pytest.mark.parametrize(
    "answer",
    [{}, {"choices": []}, {"choices": [{}]}, [], b"<html>busy</html>"],
    ids=["empty", "no choice", "no message", "a list", "a page"],
)
async def test_an_answer_of_another_shape_is_our_error(answer: Any) -> None:
    with LoopbackModel(lambda path, body: (200, answer, {})) as server:
        async with connect(EndpointSettings(server.url, "m")) as endpoint:
            model = endpoint.chat_model(temperature=0.0, max_tokens=9)
            told = pytest.raises(EndpointError, match="no answer of the protocol")
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
    assert (said.text, usage_of(said)) == ("", Usage(1, prompt_tokens))


async def test_it_is_asked_asynchronously_only() -> None:
    async with connect(EndpointSettings("http://127.0.0.1:9/v1", "m")) as endpoint:
        model: EndpointChatModel = endpoint.chat_model(temperature=0.0, max_tokens=9)
        with pytest.raises(NotImplementedError, match="ainvoke"):
            model.invoke("What now?")
