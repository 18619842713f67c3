"""Measures the model and prints one JSON object; a quarter of an hour on one core.

    lrgd data sample --out SAMPLE
    lrgd data prepare --source llmrank --path ../shared/data/amazon-games --out GAMES --seed 2024
    python -m serving.pocket.evaluate SAMPLE GAMES > figures.json

The last 500 users of GAMES chose the circuit's numbers; the figures are of its first 500.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from agents.prompts import generation_messages
from agents.values import RankingTask
from serving.pocket import MODEL_DIR
from serving.pocket.bundles import load_tasks
from serving.pocket.export import load
from serving.pocket.figures import cut, listing, pulled, ranking, slots, writing
from serving.pocket.inference import Pocket
from serving.pocket.latency import WARM, served_times


def figures(pocket: Pocket, tasks: Sequence[RankingTask]) -> dict[str, Any]:
    """All figures of one bundle's users that need no server."""
    torch.manual_seed(0)
    notes = pocket.write([generation_messages(task) for task in tasks])
    groups: dict[str, Callable[[], dict[str, Any]]] = {
        "ranking": lambda: ranking(pocket, tasks, notes),
        "cut_histories": lambda: cut(pocket, tasks),
        "notes": lambda: writing(notes),
        "names_a_word_of_a_note_that_worked": lambda: pulled(pocket, tasks[:100]),
        "lists": lambda: listing(pocket, tasks[:50]),
        "shuffled": lambda: slots(pocket, tasks[:15]),
    }
    found: dict[str, Any] = {"users": len(tasks)}
    for name, measure in groups.items():
        print(name, file=sys.stderr, flush=True)
        found[name] = measure()
    return found


def main() -> None:
    """Prints the figures of the bundles that are named, and the served model's times."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bundles", type=Path, nargs="+", help="folders written by `lrgd data`")
    parser.add_argument("--weights", type=Path, default=MODEL_DIR, help="default: the model's own")
    parser.add_argument("--users", type=int, default=500, help="users of each (default 500)")
    parser.add_argument("--skip", type=int, default=0, help="users to leave out first (default 0)")
    args = parser.parse_args()
    pocket = load(args.weights)
    sets = {p.name: load_tasks(p, users=args.users, skip=args.skip) for p in args.bundles}
    found = {name: figures(pocket, tasks) for name, tasks in sets.items()}
    longest = max(sets.values(), key=len)
    times = asyncio.run(served_times(args.weights, longest[: 100 + WARM]))
    print(json.dumps({**found, "served": times}, indent=2))


if __name__ == "__main__":
    main()
