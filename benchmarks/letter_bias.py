"""Whether letters rank better when each letter's mean log-probability is subtracted.

Batch calibration (Zhou et al., arXiv 2309.17249) over validation tasks: the mean is taken on one
half of the users and subtracted on the other, both ways round.

    python -m benchmarks.letter_bias BUNDLE --model smollm2-135m --users 100 --options 50
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from lrgd.agents.endpoint.client import connect
from lrgd.agents.prompts import LETTERS, LRGD_PROMPTS, choice_prompt, option_names
from lrgd.agents.ranking.choices import Logprobs, letter_probabilities
from lrgd.agents.values import RankingTask
from lrgd.evals.data.bundle import load_bundle
from lrgd.evals.metrics import ndcg_at
from lrgd.evals.statistics import mean_interval
from lrgd.workbench import ModelChoice, serving

TOP = 64
LEAST = 1e-12
"""Probability of a letter that is not among the alternatives."""

Rows = NDArray[np.float64]


def main(
    bundle: Annotated[Path, typer.Argument(help="Bundle whose validation tasks are asked.")],
    model: Annotated[str, typer.Option("--model", help="Embedded model.")] = "smollm2-135m",
    users: Annotated[int, typer.Option("--users", min=4)] = 100,
    options: Annotated[int, typer.Option("--options", min=2, max=52)] = 50,
    skip: Annotated[
        int, typer.Option("--skip", help="Users to leave out: those that chose heads.")
    ] = 300,
) -> None:
    """Print nDCG@10 without and with the calibration, and the paired difference."""
    frozen = load_bundle(bundle)
    taken = list(frozen.users)[skip : skip + users]
    tasks = [fewer(frozen.task(user, "validation"), options) for user in taken]
    logs = asyncio.run(asked(model, tasks))
    targets = [[c.id for c in t.candidates].index(str(t.target_id)) for t in tasks]
    half = len(tasks) // 2
    bias = np.vstack([[logs[half:].mean(0)] * half, [logs[:half].mean(0)] * (len(tasks) - half)])
    raw, calibrated = gains(logs, targets), gains(logs - bias, targets)
    for name, values in (("raw", raw), ("calibrated", calibrated), ("gain", calibrated - raw)):
        print(f"{name:12} {mean_interval(values)}, n = {len(tasks)}, {options} options")


def fewer(task: RankingTask, options: int) -> RankingTask:
    """The task with its first candidates, the target among them."""
    kept = list(task.candidates[:options])
    if task.target and task.target not in kept:
        kept[-1] = task.target
    return replace(task, candidates=tuple(kept))


async def asked(model: str, tasks: Sequence[RankingTask]) -> Rows:
    """Log-probability of each option's letter: (tasks, options)."""
    rows = []
    async with serving(ModelChoice(model=model)) as settings, connect(settings) as endpoint:
        chooser = Logprobs(endpoint, TOP)
        for task in tasks:
            names = list(option_names(task.candidates))
            prompt = choice_prompt(LRGD_PROMPTS.ranking_context(task).text, names)
            given = letter_probabilities((await chooser.alternatives(prompt))[0])
            rows.append([given.get(letter, LEAST) for letter in LETTERS[: len(names)]])
    shares = np.array(rows)
    return np.log(shares / shares.sum(axis=1, keepdims=True))


def gains(scores: Rows, targets: Sequence[int]) -> Rows:
    """nDCG@10 of each task; a tie counts against the target."""
    pairs = zip(scores, targets, strict=True)
    return ndcg_at(10, [int((row >= row[target]).sum()) for row, target in pairs])


if __name__ == "__main__":
    typer.run(main)
