"""Ranking tasks for the model's figures: Amazon Games in the layout of LLMRank, and bundles."""

import html
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agents.values import Item, RankingTask


def load_tasks(
    folder: Path, *, users: int, candidates: int = 50, history: int = 20, seed: int = 0
) -> list[RankingTask]:
    """Tasks of users drawn at random: the target and uniform negatives, shuffled."""
    items = {i: Item(i, html.unescape(title)) for i, title in _rows(folder / "Games.item")}
    rng = random.Random(seed)
    rows = rng.sample(_rows(folder / "Games.test.inter"), users)
    return [_task(row, items, rng, candidates, history) for row in rows]


def _rows(path: Path) -> list[list[str]]:
    lines = path.read_text(encoding="utf-8").rstrip("\n").split("\n")[1:]
    return [line.split("\t") for line in lines]


def _task(
    row: Sequence[str], items: dict[str, Item], rng: random.Random, candidates: int, history: int
) -> RankingTask:
    user, past, target = row[0], row[1].split(), row[2]
    unseen = sorted(items.keys() - {target, *past})
    chosen = [target, *rng.sample(unseen, candidates - 1)]
    rng.shuffle(chosen)
    return RankingTask(
        user_id=user,
        history=tuple(items[i] for i in past[-history:]),
        candidates=tuple(items[i] for i in chosen),
        target_id=target,
    )


def load_bundle_tasks(folder: Path, *, users: int) -> list[RankingTask]:
    """The test tasks of the first users of a bundle, as `lrgd data sample` writes one."""
    items = {}
    for line in (folder / "items.jsonl").read_text(encoding="utf-8").splitlines():
        fields = json.loads(line)
        items[fields["id"]] = Item(fields["id"], fields["title"])
    lines = (folder / "users.jsonl").read_text(encoding="utf-8").splitlines()[:users]
    return [_frozen(json.loads(line), items) for line in lines]


def _frozen(user: dict[str, Any], items: dict[str, Item]) -> RankingTask:
    test = user["test"]
    return RankingTask(
        user_id=user["user_id"],
        history=tuple(items[i] for i in test["history"]),
        candidates=tuple(items[i] for i in test["candidates"]),
        target_id=test["target"],
        profile=user["profile"],
    )
