"""Ranking tasks of a bundle, as `lrgd data` writes one (`evals` is a floor above)."""

import json
from pathlib import Path
from typing import Any

from agents.values import Item, RankingTask


def load_tasks(folder: Path, *, users: int | None = None, skip: int = 0) -> list[RankingTask]:
    """The test tasks of `users` users (None: all) after the first `skip`, in the bundle's order."""
    items = {}
    for line in (folder / "items.jsonl").read_text(encoding="utf-8").splitlines():
        fields = json.loads(line)
        items[fields["id"]] = Item(fields["id"], fields["title"])
    lines = (folder / "users.jsonl").read_text(encoding="utf-8").splitlines()[skip:]
    return [_task(json.loads(line), items) for line in lines[:users]]


def _task(user: dict[str, Any], items: dict[str, Item]) -> RankingTask:
    test = user["test"]
    return RankingTask(
        user_id=user["user_id"],
        history=tuple(items[i] for i in test["history"]),
        candidates=tuple(items[i] for i in test["candidates"]),
        target_id=test["target"],
        profile=user["profile"],
    )
