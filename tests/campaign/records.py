"""Where a campaign writes what it tried, a JSON line a point: it can be done in pieces."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "build" / "campaign"


def points(name: str, usual: int, share: float = 1.0) -> range:
    """The numbers of the points that a campaign tries.

    Args:
        name: CAMPAIGN_NAME in the environment says how many there are.
        usual: how many where it does not.
        share: what part of them is meant.

    CAMPAIGN_PART=2/3 tries the second of three parts: several processes share the work.
    """
    part, parts = map(int, os.environ.get("CAMPAIGN_PART", "1/1").split("/"))
    count = int(os.environ.get(f"CAMPAIGN_{name.upper()}", usual))
    return range(part - 1, round(count * share), parts)


class Records:
    """The lines of one campaign; those of an earlier piece are there already."""

    def __init__(self, name: str) -> None:
        FOLDER.mkdir(parents=True, exist_ok=True)
        self._file = FOLDER / f"{name}.jsonl"

    def __iter__(self) -> Iterator[dict[str, Any]]:
        if self._file.exists():
            yield from map(json.loads, self._file.read_text().splitlines())

    def add(self, line: dict[str, Any]) -> None:
        """Add a point that was tried."""
        with self._file.open("a") as file:
            file.write(json.dumps(line) + "\n")
