"""The evaluation protocol: leave-one-out tasks with sampled candidates, frozen into a bundle.

The last item of a user's sequence is the test target, the second-last the validation target; the
history is what came before, the last 20. Candidates are the target and items that the user never
touched, by default drawn uniformly (evals/data/candidates.py), shuffled. What a method may learn
from is frozen with them (evals/data/training.py). Source: LRGD (arXiv 2504.04386), section 4.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from lrgd.agents.values import Item
from lrgd.core.errors import InputError
from lrgd.evals.data.bundle import Bundle, BundleUser, FrozenTask
from lrgd.evals.data.candidates import Negatives, Strategy, negatives
from lrgd.evals.data.datasets import DataSet
from lrgd.evals.data.draws import generator, shuffled
from lrgd.evals.data.training import Train, training_of
from lrgd.memory.embeddings import Embed

MIN_SEQUENCE = 3
"""One item of history, a validation target and a test target."""


def freeze(
    data: DataSet,
    *,
    users: int,
    candidates: int,
    history: int,
    seed: int,
    validation_folds: int = 1,
    strategy: Strategy = "uniform",
    train: Train = "all",
    embed: Embed | None = None,
    origin: Mapping[str, Any] | None = None,
) -> Bundle:
    """Sample users and freeze their tasks.

    Args:
        users: how many to sample; all if there are fewer.
        candidates: size of a candidate set, the target included.
        history: longest history, in items.
        seed: with the data, decides everything.
        validation_folds: validation tasks a user, as far as the sequence reaches: their targets
            are the last interactions before the test target.
        strategy: how negatives are chosen.
        train: whose interactions a method may learn from.
        embed: of titles, for the strategy "hard".
        origin: where the data came from and what was dropped, for the manifest.

    Raises:
        InputError: too few items or no user with a long enough sequence.
    """
    long_enough = sorted(u for u, s in data.sequences.items() if len(s) >= MIN_SEQUENCE)
    if not long_enough:
        raise InputError(f"{data.name}: no user with {MIN_SEQUENCE} or more interactions")
    sampled = shuffled(generator(seed, "users"), long_enough)[:users]
    draw = negatives(strategy, data, embed)
    frozen = [
        _freeze_user(data, u, draw, candidates, history, seed, validation_folds) for u in sampled
    ]
    folds = {user.user_id: 1 + len(user.earlier) for user in frozen}
    training = training_of(data, folds, train)
    items = _items_of(data, frozen)
    return Bundle(
        name=data.name,
        made_by={
            "seed": seed,
            "candidates": candidates,
            "history": history,
            "strategy": strategy,
            "train": train,
            "users_of": len(long_enough),
            "users_too_short": len(data.sequences) - len(long_enough),
            **({"validation_folds": validation_folds} if validation_folds > 1 else {}),
            **(origin or {}),
        },
        items=items,
        users={user.user_id: user for user in frozen},
        popularity={item: training.counts.get(item, 0) for item in items},
        training=training,
    )


def _freeze_user(
    data: DataSet,
    user_id: str,
    draw: Negatives,
    candidates: int,
    history: int,
    seed: int,
    validation_folds: int,
) -> BundleUser:
    sequence = data.sequences[user_id]
    touched = set(sequence)

    def task(split: str, target_at: int) -> FrozenTask:
        rng = generator(seed, user_id, split)
        target = sequence[target_at]
        try:
            others = draw(rng, candidates - 1, target, touched)
        except ValueError as error:
            raise InputError(f"{data.name}, user {user_id}: candidates: {error}") from error
        past = sequence[:target_at][-history:]
        return FrozenTask(past, tuple(shuffled(rng, [target, *others])), target)

    profile = data.profiles.get(user_id, "")
    last = len(sequence) - 1
    folds = min(validation_folds, last - 1)
    earlier = tuple(task(f"validation {n}", last - 1 - n) for n in range(1, folds))
    return BundleUser(user_id, task("validation", last - 1), task("test", last), profile, earlier)


def _items_of(data: DataSet, users: Sequence[BundleUser]) -> dict[str, Item]:
    tasks = [task for user in users for task in (user.validation, *user.earlier, user.test)]
    used = {i for task in tasks for i in (*task.history, *task.candidates)}
    return {i: data.items[i] for i in sorted(used)}
