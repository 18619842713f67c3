"""How fast the embedded server ranks, against the ways in which it could be done without it.

    OMP_WAIT_POLICY=passive python -m benchmarks.embedded_speed [BUNDLE] [--users N]

All in one process and one precision, on the default model and by default the sample world:

* 50 titles scored after their shared beginning, against 50 whole prompts in batches of 16;
* a further note of the same user, against the first;
* seconds from the start of the server's process to its first ranking.

Prints one JSON object; ratios are of medians over the users. Against the loop of the field:
benchmarks/ranking_speed.py.
"""

import argparse
import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import torch

from lrgd.agents.endpoint.client import connect
from lrgd.agents.prompts import PromptSettings, option_names, rerank_query, title_prompt
from lrgd.agents.ranking.rerank import RerankRanker
from lrgd.agents.values import RankingTask
from lrgd.evals.data.bundle import load_bundle
from lrgd.evals.data.protocol import freeze
from lrgd.evals.data.sample import sample_world
from lrgd.serving.embedded.engine import CAPACITY
from lrgd.serving.embedded.heads import RetrievalHeads, load_heads
from lrgd.serving.embedded.prefixes import Prefixes
from lrgd.serving.embedded.reranking import Reranker, probabilities
from lrgd.serving.embedded.scoring import score
from lrgd.serving.embedded.weights import Weights, load
from lrgd.serving.models import DEFAULT, folder_of
from lrgd.serving.server import serve_embedded

NOTES = (
    "Enjoys building things with friends and looks for what lasts.",
    "Has lately turned to what can be used outdoors, in one style.",
)
WHOLE_BATCH = 16


class Ways:
    """The ways to rank one task, over one model."""

    def __init__(self, weights: Weights, heads: RetrievalHeads) -> None:
        self.weights = weights
        self.heads = heads
        self.forget()

    def forget(self) -> None:
        """Drop all that was kept of earlier prompts."""
        self.texts = Prefixes(self.weights, CAPACITY)
        documents = Prefixes(self.weights, CAPACITY, self.heads.layers)
        self.reranker = Reranker(documents, self.heads.by_layer)

    def by_attention(self, task: RankingTask, note: str) -> None:
        context = PromptSettings().ranking_context(task, note)
        query, baseline = rerank_query(context.text), rerank_query(context.content_free)
        scores = self.reranker.scores(query, list(option_names(task.candidates)), baseline)
        probabilities(scores, self.heads)

    def by_likelihood(self, task: RankingTask, note: str) -> None:
        """The term for anybody is left out: it is asked for once an item."""
        texts, start = self.answers(task, note)
        score(self.texts, texts, start)

    def whole_prompts(self, task: RankingTask, note: str) -> None:
        """Every title after the whole prompt again, padded, by transformers alone."""
        texts, _ = self.answers(task, note)
        texts.sort(key=len)
        for n in range(0, len(texts), WHOLE_BATCH):
            batch = texts[n : n + WHOLE_BATCH]
            longest = max(map(len, batch))
            ids = torch.tensor([[*t, *[0] * (longest - len(t))] for t in batch])
            mask = torch.tensor([[1] * len(t) + [0] * (longest - len(t)) for t in batch])
            with torch.inference_mode(), own_attention(self.weights):
                states = self.weights.model.base_model(ids, attention_mask=mask)[0]
                for text, row in zip(batch, states, strict=True):
                    table = self.weights.logits(row[-30:]).log_softmax(dim=-1)
                    table.gather(1, torch.tensor(text[-30:])[:, None])

    def answers(self, task: RankingTask, note: str) -> tuple[list[list[int]], int]:
        """Token ids of prompt and each title as its answer, and where the answer begins."""
        tokenizer = self.weights.tokenizer
        context = PromptSettings().ranking_context(task, note)
        asked = [{"role": "user", "content": title_prompt(context.text)}]
        prompt = tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_dict=False)
        ends = [tokenizer.encode(f"{c.title}{tokenizer.eos_token}") for c in task.candidates]
        return [[*prompt, *end] for end in ends], len(prompt)


class own_attention:  # noqa: N801 - reads as a statement
    """For the length of the `with`, transformers' own attention."""

    def __init__(self, weights: Weights) -> None:
        self._model = weights.model

    def __enter__(self) -> None:
        self._before = self._model.config._attn_implementation
        self._model.set_attn_implementation("sdpa")

    def __exit__(self, *error: object) -> None:
        self._model.set_attn_implementation(self._before)


def timed(way: Callable[..., None], *asked: Any) -> float:
    began = perf_counter()
    way(*asked)
    return perf_counter() - began


def measured(ways: Ways, tasks: Sequence[RankingTask]) -> dict[str, Any]:
    """Seconds a task, medians, and their ratios."""
    first, second = NOTES
    taken: dict[str, list[float]] = {}
    for task in tasks:
        ways.forget()
        for name, way in (("attention", ways.by_attention), ("likelihood", ways.by_likelihood)):
            taken.setdefault(f"{name}, first note", []).append(timed(way, task, first))
            taken.setdefault(f"{name}, further note", []).append(timed(way, task, second))
        taken.setdefault("whole prompts", []).append(timed(ways.whole_prompts, task, first))
    seconds = {name: median(values) for name, values in taken.items()}
    return {"seconds_a_user": seconds, "ratios": dict(ratios(seconds))}


def ratios(seconds: dict[str, float]) -> Iterator[tuple[str, float]]:
    yield (
        "whole prompts / shared beginning",
        seconds["whole prompts"] / seconds["likelihood, first note"],
    )
    for name in ("attention", "likelihood"):
        first, further = seconds[f"{name}, first note"], seconds[f"{name}, further note"]
        yield f"{name}: further note / first", further / first


async def first_answer(folder: Path, task: RankingTask) -> float:
    """Seconds from the start of the server's process to its first ranking."""
    began = perf_counter()
    async with serve_embedded(folder, DEFAULT) as settings, connect(settings) as endpoint:
        await RerankRanker(endpoint).rank(PromptSettings().ranking_context(task), task.candidates)
        return perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path, nargs="?", help="by default the sample world")
    parser.add_argument("--users", type=int, default=20)
    asked = parser.parse_args()
    if asked.bundle:
        bundle = load_bundle(asked.bundle)
    else:
        bundle = freeze(sample_world(), users=asked.users, candidates=50, history=20, seed=2024)
    tasks = [bundle.task(user, "validation") for user in list(bundle.users)[: asked.users]]
    folder = folder_of(DEFAULT)
    weights, heads = load(folder, DEFAULT), load_heads(folder, DEFAULT)
    assert heads is not None, "the default model ships with heads"
    about = {
        "bundle": bundle.sha256,
        "users": len(tasks),
        "precision": str(weights.model.dtype),
        "threads": torch.get_num_threads(),
    }
    found = measured(Ways(weights, heads), tasks)
    start = asyncio.run(first_answer(folder, tasks[0]))
    print(json.dumps({**about, **found, "first_answer_s": start}, indent=2))


if __name__ == "__main__":
    main()
