"""The embedded server as a process: what it answers over HTTP."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio
from openai import AsyncOpenAI, BadRequestError

from lrgd.agents.endpoint.client import EndpointSettings
from lrgd.core.errors import EndpointError
from lrgd.serving.server import serve_embedded
from tests.families import make

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make("llama-3", tmp_path_factory.mktemp("model"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(folder: Path) -> AsyncIterator[EndpointSettings]:
    async with serve_embedded(folder, "tiny") as settings:
        yield settings


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(server: EndpointSettings) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=server.base_url, api_key="none", max_retries=0) as client:
        yield client


async def test_it_says_which_model_it_has(client: AsyncOpenAI) -> None:
    assert [model.id async for model in client.models.list()] == ["tiny"]
    with pytest.raises(BadRequestError, match="no model 'other' here"):
        await client.completions.create(model="other", prompt="a")


async def test_the_same_chat_request_gives_the_same_text_whatever_else_runs(
    client: AsyncOpenAI,
) -> None:
    async def asked(seed: int) -> str:
        answer = await client.chat.completions.create(
            model="tiny",
            messages=[{"role": "user", "content": f"likes boats {seed}"}],
            seed=seed,
            max_completion_tokens=12,
        )
        assert answer.usage is not None
        assert answer.usage.completion_tokens <= 12
        return str(answer.choices[0].message.content)

    many = await asyncio.gather(*(asked(seed) for seed in range(12)))
    assert [await asked(seed) for seed in range(12)] == many
    assert len(set(many)) > 6


async def test_a_stream_says_the_same_as_a_whole_answer(client: AsyncOpenAI) -> None:
    asked = {
        "model": "tiny",
        "messages": [{"role": "user", "content": "likes boats"}],
        "seed": 3,
        "max_tokens": 20,
    }
    whole = await client.chat.completions.create(**asked)  # type: ignore[call-overload]
    stream = await client.chat.completions.create(**asked, stream=True)  # type: ignore[call-overload]
    parts, ends = [], []
    async for event in stream:
        for choice in event.choices:
            parts.append(choice.delta.content or "")
            ends.append(choice.finish_reason)
    assert "".join(parts) == whole.choices[0].message.content
    assert ends[-1] == whole.choices[0].finish_reason


async def test_the_protocol_of_local_completions(client: AsyncOpenAI) -> None:
    texts = ["red kite", "blue boat and"]
    answer = await client.completions.create(
        model="tiny", prompt=texts, max_tokens=0, echo=True, logprobs=2
    )
    for text, choice in zip(texts, answer.choices, strict=True):
        told = choice.logprobs
        assert told is not None
        assert choice.text == text
        assert "".join(told.tokens or []) == text
        assert told.text_offset is not None
        assert told.text_offset[0] == 0
        assert told.token_logprobs is not None
        assert told.token_logprobs[0] is None
        assert all(p is not None and p < 0 for p in told.token_logprobs[1:])
        assert told.top_logprobs is not None
        # Two tokens may be of the same text.
        assert all(1 <= len(top) <= 2 for top in told.top_logprobs[1:])


async def test_tokens_go_in_as_well_as_texts(client: AsyncOpenAI, server: EndpointSettings) -> None:
    root = server.base_url.removesuffix("/v1")
    async with httpx2.AsyncClient(trust_env=False) as http:
        body = {"model": "tiny", "prompt": "green train"}
        tokens = (await http.post(f"{root}/tokenize", json=body)).json()["tokens"]
        back = await http.post(f"{root}/detokenize", json={"model": "tiny", "tokens": tokens})
        chat = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}]}
        rendered = (await http.post(f"{root}/tokenize", json=chat)).json()["tokens"]
        text = await http.post(f"{root}/detokenize", json={"model": "tiny", "tokens": rendered})
    assert back.json()["prompt"] == "green train"
    assert text.json()["prompt"].endswith("<|start_header_id|>assistant<|end_header_id|>\n\n")
    asked = {"model": "tiny", "max_tokens": 3, "temperature": 0.0}
    by_text = await client.completions.create(prompt="green train", **asked)  # type: ignore[call-overload]
    by_ids = await client.completions.create(prompt=tokens, **asked)  # type: ignore[call-overload]
    assert by_text.choices[0].text == by_ids.choices[0].text


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("/v1/rerank", {"query": "q", "documents": ["a", "b"]}, "no retrieval heads"),
        ("/v1/completions", {"prompt": ""}, "without a token|one or more"),
        ("/v1/completions", {"prompt": [[5, 999_999]]}, "outside the vocabulary"),
        ("/v1/completions", {"prompt": "a", "max_tokens": 5000}, "reads 4096"),
        ("/v1/chat/completions", {"messages": []}, "messages"),
        (
            "/v1/chat/completions",
            {
                "messages": [{"role": "user", "content": "a"}],
                "response_format": {"type": "json_schema", "json_schema": {}},
            },
            "response_format",
        ),
        ("/tokenize", {}, "prompt or messages"),
    ],
)
async def test_what_can_not_be_done_is_refused_in_one_line(
    server: EndpointSettings, path: str, body: dict[str, object], says: str
) -> None:
    root = server.base_url.removesuffix("/v1")
    async with httpx2.AsyncClient(trust_env=False) as http:
        answer = await http.post(f"{root}{path}", json={"model": "tiny", **body})
    assert answer.status_code == 400
    message = answer.json()["error"]["message"]
    assert "\n" not in message
    assert re.search(says, message)


async def test_a_folder_without_a_model_is_reported_with_the_servers_words(
    tmp_path: Path,
) -> None:
    with pytest.raises(EndpointError, match="did not start: lrgd: no usable model in"):
        async with serve_embedded(tmp_path, "nothing"):
            pass
