"""Ranking speed: users a second, against a loop in the manner of the field, same weights, one run.

    lrgd serve --port 8123        (or --engine vllm, docs/performance.md)
    python -m benchmarks.ranking_speed --bundle BUNDLE --base-url http://127.0.0.1:8123/v1 \
        --dtype bfloat16

The loop: Hugging Face `generate`, batches of 10 prompts, greedy, at most 512 new tokens, a list of
10 titles, in the server's --dtype. Beside it the modes that the server at --base-url can do, on the
same tasks, without a demonstration. All are warmed on the same further users: code generators and
caches of buffers then know the sizes that occur. Prints one JSON object: users a second, the
ratio to the loop, nDCG@10.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import get_args

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from lrgd.agents.endpoint.client import EndpointSettings, connect
from lrgd.agents.prompts import PromptSettings, listwise_prompt, option_names
from lrgd.agents.ranking.modes import ranker_for
from lrgd.agents.ranking.parser import parse_list
from lrgd.agents.ranking.probe import probe
from lrgd.agents.recommender import Ranker
from lrgd.agents.values import Ranking, RankingMode, RankingTask
from lrgd.core.errors import EndpointError
from lrgd.evals.data.bundle import load_bundle
from lrgd.evals.metrics import ndcg_at
from lrgd.serving.models import DEFAULT, folder_of

BATCH, NEW_TOKENS, TITLES = 10, 512, 10
CONCURRENCY = 128


def row(
    rankings: Sequence[Ranking], tasks: Sequence[RankingTask], seconds: float
) -> dict[str, float]:
    """Speed and quality of some rankings."""
    ranks = [r.rank_of(str(t.target_id)) for r, t in zip(rankings, tasks, strict=True)]
    return {
        "users_a_second": len(tasks) / seconds,
        "ndcg_at_10": fmean(float(ndcg_at(10, rank)) for rank in ranks),
        "missing": fmean(r.audit.missing for r in rankings),
    }


def field_loop(
    tasks: Sequence[RankingTask], warm: Sequence[RankingTask], folder: Path, dtype: str
) -> dict[str, float]:
    """The loop, in this process, with all of its cores."""
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)

    def texts_of(some: Sequence[RankingTask]) -> list[str]:
        return [text for batch in batches(some) for text in generated(batch, model, tokenizer)]

    texts_of(warm)
    begin = time.perf_counter()
    texts = texts_of(tasks)
    seconds = time.perf_counter() - begin
    rankings = [
        parse_list(x, t.candidates, asked=TITLES) for x, t in zip(texts, tasks, strict=True)
    ]
    return row(rankings, tasks, seconds)


def batches(tasks: Sequence[RankingTask]) -> Iterator[Sequence[RankingTask]]:
    """Tasks by tens, in their order."""
    for start in range(0, len(tasks), BATCH):
        yield tasks[start : start + BATCH]


@torch.no_grad()
def generated(batch: Sequence[RankingTask], model: torch.nn.Module, tokenizer: object) -> list[str]:
    """The lists that the model writes for a batch, greedily."""
    contexts = [PromptSettings().ranking_context(task) for task in batch]
    prompts = [
        listwise_prompt(context.text, list(option_names(task.candidates)), TITLES)
        for context, task in zip(contexts, batch, strict=True)
    ]
    chats = [[{"role": "user", "content": prompt}] for prompt in prompts]
    inputs = tokenizer.apply_chat_template(  # type: ignore[attr-defined]
        chats, add_generation_prompt=True, padding=True, return_tensors="pt", return_dict=True
    )
    out = model.generate(**inputs, do_sample=False, max_new_tokens=NEW_TOKENS)  # type: ignore[operator]
    return list(
        tokenizer.batch_decode(out[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)  # type: ignore[attr-defined]
    )


async def served(
    tasks: Sequence[RankingTask], warm: Sequence[RankingTask], base_url: str, model: str
) -> dict[str, dict[str, float]]:
    """Every mode that the server can do, each over all tasks."""
    found = {}
    settings = EndpointSettings(base_url, model, concurrency=CONCURRENCY)
    async with connect(settings) as endpoint:
        abilities = await probe(endpoint)
        for mode in get_args(RankingMode):
            try:
                ranker = ranker_for(endpoint, mode, abilities)
            except EndpointError:
                continue  # this server cannot
            await ranked(warm, ranker)
            begin = time.perf_counter()
            rankings = await ranked(tasks, ranker)
            found[mode] = row(rankings, tasks, time.perf_counter() - begin)
    return found


async def ranked(tasks: Sequence[RankingTask], ranker: Ranker) -> list[Ranking]:
    """All tasks at once; the endpoint's connections bound how many are under way."""
    asked = (ranker.rank(PromptSettings().ranking_context(t), t.candidates) for t in tasks)
    return await asyncio.gather(*asked)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--base-url", required=True)
    parser.add_argument("--model", default=DEFAULT, help="name on the server")
    parser.add_argument(
        "--weights", type=Path, help="the same model, for the loop; by default the embedded one"
    )
    parser.add_argument(
        "--dtype", choices=("float32", "bfloat16"), default="float32", help="the loop's, as served"
    )
    parser.add_argument("--users", type=int, default=200)
    parser.add_argument("--warm", type=int, default=40, help="users before the clock starts")
    options = parser.parse_args()
    bundle = load_bundle(options.bundle)
    taken = list(bundle.users)[: options.users + options.warm]
    tasks = [bundle.task(user, "test") for user in taken]
    tasks, warm = tasks[: options.users], tasks[options.users :]
    found = asyncio.run(served(tasks, warm, options.base_url, options.model))
    found = {
        "field loop": field_loop(tasks, warm, options.weights or folder_of(DEFAULT), options.dtype),
        **found,
    }
    slow = found["field loop"]["users_a_second"]
    table = {
        name: {
            **{k: round(v, 4) for k, v in figures.items()},
            "ratio": round(figures["users_a_second"] / slow, 2),
        }
        for name, figures in found.items()
    }
    print(json.dumps({"users": len(tasks), **table}, indent=2))


if __name__ == "__main__":
    main()
