from collections.abc import Callable, Iterable
from typing import Any

import pytest

from lrgd.agents.endpoint.client import EndpointSettings, connect
from lrgd.agents.ranking.frame import ChatFrame, Tokenizer, chat_frame
from lrgd.core.errors import EndpointError
from tests.loopback import Answer, LoopbackModel, Sensible

Template = Callable[[Iterable[dict[str, str]]], str]


def tokenizing(template: Template, begin: str = "") -> Callable[[str, dict[str, Any]], Answer]:
    """A server whose tokens are characters; `begin` stands before every text as a special token."""

    def respond(path: str, body: dict[str, Any]) -> Answer:
        if path == "/detokenize":
            return 200, {"prompt": "".join(map(chr, body["tokens"]))}, {}
        if "messages" in body:
            return 200, {"tokens": list(map(ord, template(body["messages"])))}, {}
        text = f"{begin if body['add_special_tokens'] else ''}{body['prompt']}"
        return 200, {"tokens": list(map(ord, text))}, {}

    return respond


def llama3(messages: Iterable[dict[str, str]]) -> str:
    head = "<|start_header_id|>{}<|end_header_id|>\n\n"
    turns = (f"{head.format(m['role'])}{m['content']}<|eot_id|>" for m in messages)
    return "<|begin_of_text|>" + "".join(turns)


def mistral(messages: Iterable[dict[str, str]]) -> str:
    user, assistant = messages
    return f"<s>[INST] {user['content']} [/INST] {assistant['content']}</s>"


def phi3(messages: Iterable[dict[str, str]]) -> str:
    turns = (f"<|{m['role']}|>\n{m['content']}<|end|>\n" for m in messages)
    return "".join(turns) + "<|endoftext|>"


def qwen3(messages: Iterable[dict[str, str]]) -> str:
    user, assistant = messages
    return (
        f"<|im_start|>user\n{user['content']}<|im_end|>\n<|im_start|>assistant\n"
        f"<think>\n\n</think>\n\n{assistant['content']}<|im_end|>\n"
    )


def forgetful(messages: Iterable[dict[str, str]]) -> str:
    return f"user: {next(iter(messages))['content']}"


async def frame_of(respond: Callable[[str, dict[str, Any]], Answer]) -> ChatFrame:
    with LoopbackModel(respond) as server:
        async with connect(settings(server)) as endpoint:
            return await chat_frame(Tokenizer(endpoint))


def settings(server: LoopbackModel) -> EndpointSettings:
    return EndpointSettings(server.url, "m", max_retries=0)


@pytest.mark.parametrize(
    ("template", "prompt", "answer"),
    [
        (
            llama3,
            "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nQ<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n",
            "A<|eot_id|>",
        ),
        # The blank belongs to the answer's first token: "[/INST]" is where the model goes on.
        (mistral, "<s>[INST] Q [/INST]", " A</s>"),
        (phi3, "<|user|>\nQ<|end|>\n<|assistant|>\n", "A<|end|>"),
        (
            qwen3,
            "<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n",
            "A<|im_end|>",
        ),
        (forgetful, "Q\nAnswer:", " A\n"),
    ],
)
async def test_a_frame_is_what_the_servers_own_template_writes(
    template: Template, prompt: str, answer: str
) -> None:
    frame = await frame_of(tokenizing(template))
    assert (frame.prompt("Q"), frame.answer("A")) == (prompt, answer)


async def test_a_plain_frame_holds_the_beginning_of_text() -> None:
    assert (await frame_of(tokenizing(forgetful, begin="<bos>"))).prompt("Q") == "<bos>Q\nAnswer:"


async def test_a_server_without_a_tokenizer_has_no_frame() -> None:
    with pytest.raises(EndpointError):
        await frame_of(Sensible())


@pytest.mark.parametrize(
    ("base_url", "asked"),
    [("/v1", "/tokenize"), ("/v1/", "/tokenize"), ("/models/small/v1", "/models/small/tokenize")],
)
async def test_the_tokenizer_is_beside_v1(base_url: str, asked: str) -> None:
    with LoopbackModel(tokenizing(llama3)) as server:
        url = f"{server.url.removesuffix('/v1')}{base_url}"
        async with connect(EndpointSettings(url, "m")) as endpoint:
            assert await Tokenizer(endpoint).tokens("ab") == [97, 98]
    assert server.requests[0][0] == asked
