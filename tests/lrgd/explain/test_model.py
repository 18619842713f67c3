"""The local prompt and its likelihoods against those of the ranking mode `likelihood`."""

from pathlib import Path
from threading import Lock
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer

from lrgd.agents.endpoint.client import EndpointSettings, connect
from lrgd.agents.prompts import PromptSettings
from lrgd.agents.ranking.frame import Tokenizer
from lrgd.agents.ranking.frame import chat_frame as frame_of_server
from lrgd.agents.ranking.likelihood import LikelihoodRanker, Likelihoods
from lrgd.explain.model import chat_frame, load_local, ranked, ranking_prompt
from lrgd.theory import read_prompt
from lrgd.theory.adapters import FAMILIES as SUPPORTED
from tests.families import FAMILIES, make
from tests.loopback import Answer, LoopbackModel
from tests.scripted import task

NOTE = "likes boats"


def serving(folder: Path) -> Any:
    """A server's tokenizer, and log-probabilities by one plain forward pass a prompt."""
    tokenizer, local = AutoTokenizer.from_pretrained(folder), None
    # Two requests come at once, and transformers cannot load two models at once.
    loading = Lock()

    def respond(path: str, body: dict[str, Any]) -> Answer:
        nonlocal local
        if path == "/detokenize":
            return 200, {"prompt": tokenizer.decode(body["tokens"])}, {}
        if path == "/tokenize" and "messages" in body:
            if tokenizer.chat_template is None:
                return 400, {"error": {"message": "no template"}}, {}
            found = tokenizer.apply_chat_template(body["messages"], return_dict=False)
            return 200, {"tokens": found}, {}
        if path == "/tokenize":
            special = body["add_special_tokens"]
            found = tokenizer.encode(body["prompt"], add_special_tokens=special)
            return 200, {"tokens": found}, {}
        with loading:
            local = local or load_local(str(folder))
        choices = [
            {"index": n, "logprobs": {"token_logprobs": logprobs(local.model, prompt)}}
            for n, prompt in enumerate(body["prompt"])
        ]
        return 200, {"choices": choices, "usage": {}}, {}

    return respond


@torch.no_grad()
def logprobs(model: Any, prompt: list[int]) -> list[float | None]:
    table = model(torch.tensor([prompt])).logits[0].log_softmax(-1)
    return [None, *(float(row[token]) for row, token in zip(table, prompt[1:], strict=False))]


@pytest.fixture(params=[*FAMILIES, "base"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Of each family; "base" is a model without a chat template."""
    if request.param != "base":
        return make(request.param, tmp_path / "m")
    made = make("llama-3", tmp_path / "m")
    tokenizer = AutoTokenizer.from_pretrained(made)
    tokenizer.chat_template = None
    (made / "chat_template.jinja").unlink()
    tokenizer.save_pretrained(made)
    return made


async def test_prompt_and_ranking_are_the_ranking_modes(folder: Path) -> None:
    """The same frame, and the same probabilities as a plain client of a plain server gets."""
    asked = task()
    with LoopbackModel(serving(folder)) as server:
        async with connect(EndpointSettings(server.url, "m", max_retries=0)) as endpoint:
            frame = await frame_of_server(Tokenizer(endpoint))
            assert chat_frame(AutoTokenizer.from_pretrained(folder)) == frame
            if '"qwen3"' in (folder / "config.json").read_text():
                assert "qwen3" not in SUPPORTED  # else its ranking belongs here, too
                return
            ranker = LikelihoodRanker(Likelihoods(endpoint, frame))
            wanted = await ranker.rank(
                PromptSettings().ranking_context(asked, NOTE), asked.candidates
            )
    local = load_local(str(folder))
    prompt = ranking_prompt(local, asked, NOTE)
    here, anybody = (
        prompt.likelihoods(read_prompt(local.decoder, ids))
        for ids in (prompt.partition.ids, prompt.content_free)
    )
    found = ranked(here, anybody, asked.candidates)
    assert found.order == wanted.order
    for item, probability in wanted.probabilities.items():
        assert found.probabilities[item] == pytest.approx(probability, rel=1e-3)
    of_d = local.tokenizer.decode(prompt.partition.ids[prompt.partition.demonstration])
    assert of_d.strip().startswith(NOTE)
