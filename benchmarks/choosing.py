"""Which rule chooses a user's note best: by one validation task or several, by rank or by margin.

Every note is ranked with on each validation task and on the test task; the rules see the first
only. Tune on a shop that no table reports.

    lrgd data prepare --source recbole --path DIR --validation-folds 3 --out BUNDLE
    python -m benchmarks.choosing BUNDLE ROWS.jsonl --users 100

ROWS.jsonl is a line a user: a search that was stopped goes on with it.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from pydantic import BaseModel

from lrgd.agents.endpoint.client import connect
from lrgd.agents.evaluator import effect, log_probability
from lrgd.agents.generator import Generator
from lrgd.agents.prompts import LRGD_PROMPTS
from lrgd.agents.ranking.modes import ranker_for
from lrgd.agents.recommender import Ranker
from lrgd.agents.values import RankingTask
from lrgd.evals.data.bundle import Bundle, load_bundle
from lrgd.evals.metrics import ndcg_at
from lrgd.evals.statistics import mean_interval
from lrgd.workbench import ModelChoice, serving, survey_of

Rows = NDArray[np.float64]


class User(BaseModel):
    """What each note came to: a row a note, the first is no note; a column a task, the last is
    the test task, the one before it the latest validation task."""

    user_id: str
    ranks: list[list[int]]
    logs: list[list[float]]
    """Log-probability of the target."""


def main(
    bundle: Annotated[Path, typer.Argument(help="Bundle with --validation-folds.")],
    rows: Annotated[Path, typer.Argument(help="Where what was measured is kept.")],
    model: Annotated[str, typer.Option("--model", help="Embedded model.")] = "smollm2-135m",
    users: Annotated[int, typer.Option("--users", min=2)] = 100,
    notes: Annotated[int, typer.Option("--notes", min=2, help="Notes a user.")] = 6,
    skip: Annotated[
        int, typer.Option("--skip", help="Users to leave out: those that chose heads.")
    ] = 300,
) -> None:
    """Measure, then print nDCG@10 on the test task for each rule, and its gain over no note."""
    frozen = load_bundle(bundle)
    taken = list(frozen.users)[skip : skip + users]
    known = {user.user_id for user in read(rows)}
    asyncio.run(measure(frozen, [u for u in taken if u not in known], notes, model, rows))
    measured = [user for user in read(rows) if user.user_id in taken]
    none = np.array([ndcg_at(10, [u.ranks[0][-1]])[0] for u in measured])
    for name, rule in RULES.items():
        gains = np.array([rule(u) for u in measured])
        print(f"{name:28} {gains.mean():.4f}  over no note {mean_interval(gains - none)}")
    print(f"n = {len(measured)} users, {notes} notes, {len(measured[0].ranks[0]) - 1} folds")


def read(path: Path) -> list[User]:
    """The users that were measured."""
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    return [User.model_validate_json(line) for line in lines]


async def measure(bundle: Bundle, users: Sequence[str], notes: int, model: str, rows: Path) -> None:
    """Write notes for each user, rank every task with each, append a line."""
    choice = ModelChoice(model=model)
    async with serving(choice) as settings:
        abilities = (await survey_of(settings)).abilities
        async with connect(settings) as endpoint:
            ranker = ranker_for(endpoint, "rerank", abilities)
            chat = endpoint.chat_model(temperature=choice.temperature, max_tokens=64)
            for user in users:
                line = await measured_user(bundle, user, notes, Generator(chat), ranker)
                with rows.open("a", encoding="utf-8") as file:
                    file.write(line.model_dump_json() + "\n")


async def measured_user(
    bundle: Bundle, user: str, notes: int, generator: Generator, ranker: Ranker
) -> User:
    """One user's notes, written from what lies before every target, and all rankings."""
    folds = [*reversed(bundle.earlier_tasks(user)), bundle.task(user, "validation")]
    tasks = [*folds, bundle.task(user, "test")]
    hidden = [task.target for task in folds if task.target]  # a run does not know the test's
    drafts = await asyncio.gather(
        *(generator.write(folds[0], seed=seed, targets=hidden) for seed in range(notes))
    )
    texts = [None, *(draft.text for draft in drafts if draft.verdict == "usable")]
    pairs = [await ranked(ranker, tasks, text) for text in texts]
    return User(user_id=user, ranks=[p[0] for p in pairs], logs=[p[1] for p in pairs])


async def ranked(
    ranker: Ranker, tasks: Sequence[RankingTask], text: str | None
) -> tuple[list[int], list[float]]:
    """Rank and log-probability of each task's target, with a note."""
    ranks, logs = [], []
    for task in tasks:
        ranking = await ranker.rank(LRGD_PROMPTS.ranking_context(task, text), task.candidates)
        ranks.append(ranking.rank_of(str(task.target_id)))
        logs.append(log_probability(ranking, str(task.target_id)) or 0.0)
    return ranks, logs


def effects(user: User) -> Rows:
    """Effect_D of each note on each task: (notes with none first, tasks)."""
    return np.array([[effect(rank) for rank in row] for row in user.ranks])


def test_gain(user: User, note: int) -> float:
    """nDCG@10 of the test task with a note."""
    return float(ndcg_at(10, [user.ranks[note][-1]])[0])


def best(
    scores: Callable[[User], Rows], folds: int, *, none: bool = False
) -> Callable[[User], float]:
    """The note with the largest mean of `scores` over the last folds; `none`: or no note."""

    def rule(user: User) -> float:
        judged = scores(user)[:, :-1][:, -folds:].mean(axis=1)
        first = 0 if none else min(1, len(judged) - 1)
        return test_gain(user, first + int(judged[first:].argmax()))

    return rule


def sure(folds: int, errors: float) -> Callable[[User], float]:
    """The likeliest note whose margin over no note is so many standard errors; else no note."""

    def rule(user: User) -> float:
        margins = np.array(user.logs)[:, :-1][:, -folds:] - np.array(user.logs)[0, :-1][-folds:]
        spread = margins.std(axis=1, ddof=1) / folds**0.5 if folds > 1 else 0.0
        shrunk = margins.mean(axis=1) - errors * spread
        note = int(shrunk[1:].argmax()) + 1 if len(shrunk) > 1 else 0
        return test_gain(user, note if shrunk[note] > 0 else 0)

    return rule


def logs_of(user: User) -> Rows:
    """Log-probabilities, as `effects`."""
    return np.array(user.logs)


RULES: Mapping[str, Callable[[User], float]] = {
    "no note": lambda user: test_gain(user, 0),
    "mean note": lambda user: float(
        np.mean([test_gain(user, n) for n in range(1, len(user.ranks))] or [test_gain(user, 0)])
    ),
    "Effect_D, 1 fold": best(effects, 1),
    "Effect_D, 3 folds": best(effects, 3),
    "probability, 1 fold": best(logs_of, 1),
    "probability, 3 folds": best(logs_of, 3),
    "Effect_D, 3 folds, or none": best(effects, 3, none=True),
    "probability, 3 folds, or none": best(logs_of, 3, none=True),
    "margin > 1 s.e., 3 folds": sure(3, 1.0),
    "by the test task itself": lambda user: max(
        test_gain(user, n) for n in range(min(1, len(user.ranks) - 1), len(user.ranks))
    ),
}


if __name__ == "__main__":
    typer.run(main)
