"""Times of the served model: one client, one request after the other, in milliseconds."""

import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Any, TypeVar

from agents.choices import SystemOne
from agents.endpoint import Endpoint, Usage, connect
from agents.generator import Generator
from agents.prompts import listwise_prompt, option_names, ranking_state
from agents.values import RankingTask
from serving.server import serve_transformers

WARM = 3
"""Requests before the clock starts."""
TOKENS = 32

Answer = TypeVar("Answer")


async def served_times(folder: Path, tasks: Sequence[RankingTask]) -> dict[str, Any]:
    """Medians over the tasks, through `transformers serve` as `lrgd` starts it.

    A note ends by itself before 32 tokens, so that many are also timed where an answer goes on: in
    a list, whose prompt is longer than a note's.
    """
    async with serve_transformers(folder) as settings, connect(settings) as endpoint:
        generator = Generator(endpoint.chat_model(temperature=0.8, max_tokens=TOKENS))
        chooser = SystemOne(endpoint)

        async def decide(task: RankingTask) -> object:
            return await chooser.choose(
                ranking_state(task, None), [[*option_names(task.candidates)]]
            )

        async def note(task: RankingTask) -> Usage:
            return (await generator.write(task, seed=0)).usage

        decisions, _ = await _timed(decide, tasks)
        notes, usages = await _timed(note, tasks)
        starts, _ = await _timed(lambda task: _list_start(endpoint, task), tasks)
    return {
        "requests_of_each_kind": len(tasks) - WARM,
        "decision_ms": median(decisions),
        "note_ms": median(notes),
        "note_tokens": fmean(used.completion_tokens for used in usages),
        "first_32_tokens_of_a_list_ms": median(starts),
    }


async def _list_start(endpoint: Endpoint, task: RankingTask) -> object:
    names = [*option_names(task.candidates)]
    prompt = listwise_prompt(ranking_state(task, None), names, 10)
    return await endpoint.chat_model(temperature=0.0, max_tokens=TOKENS).ainvoke(prompt)


async def _timed(
    ask: Callable[[RankingTask], Awaitable[Answer]], tasks: Sequence[RankingTask]
) -> tuple[list[float], list[Answer]]:
    """Milliseconds and answers of all but the first requests."""
    times, answers = [], []
    for task in tasks:
        begin = time.perf_counter()
        answers.append(await ask(task))
        times.append(round(1000 * (time.perf_counter() - begin), 1))
    return times[WARM:], answers[WARM:]
