"""Measures the model in this process and prints one JSON object.

    python -m serving.pocket.evaluate --games FOLDER > figures.json

Amazon Games: users drawn with a fixed seed; the first half chose the circuit's numbers, the
figures are of the second half. The effect of a note is nDCG@10 with it minus without it, the
same users and candidates. Negatives are uniform: harder ones would give lower figures.
"""

import argparse
import json
import random
from collections.abc import Sequence
from itertools import pairwise
from math import log2, sqrt
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch

from agents.prompts import generation_messages
from agents.values import RankingTask
from serving.pocket import MODEL_DIR
from serving.pocket.corpus import example_shopper, note
from serving.pocket.export import load
from serving.pocket.games import load_tasks
from serving.pocket.inference import Pocket


def ndcg_at_10(rank: float) -> float:
    """One relevant item: 1 / log2(1 + rank) within the first ten, else 0."""
    return 1 / log2(1 + rank) if rank <= 10 else 0.0


def figures(ranks: Sequence[float], without: Sequence[float] | None = None) -> dict[str, float]:
    """nDCG@10 and Recall@10; with `without` also the effect and its standard error."""
    gains = [ndcg_at_10(rank) for rank in ranks]
    result = {"ndcg@10": fmean(gains), "recall@10": fmean(rank <= 10 for rank in ranks)}
    if without is not None:
        effects = [gain - ndcg_at_10(rank) for gain, rank in zip(gains, without, strict=True)]
        result["effect"] = fmean(effects)
        result["effect_standard_error"] = stdev(effects) / sqrt(len(effects))
    return {name: round(value, 4) for name, value in result.items()}


def with_notes(
    pocket: Pocket, tasks: Sequence[RankingTask], notes: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Figures without notes, with each user's own and with another user's."""
    none = pocket.ranks(tasks, [None] * len(tasks))
    others = [*notes[1:], notes[0]]
    return {
        "history_only": figures(none),
        "own_note": figures(pocket.ranks(tasks, notes), none),
        "another_users_note": figures(pocket.ranks(tasks, others), none),
    }


def invented(pocket: Pocket, count: int) -> dict[str, Any]:
    """Worlds that training does not draw: notes on the true leanings, and written ones."""
    rng = random.Random("evaluation")
    shoppers = [example_shopper(rng, candidates=50) for _ in range(count)]
    tasks = [s.task for s in shoppers]
    true = [note(rng, list(s.leanings)[:3]) for s in shoppers]
    written = pocket.write([generation_messages(task) for task in tasks])
    return {
        "true_leanings": with_notes(pocket, tasks, true),
        "written": with_notes(pocket, tasks, written),
    }


def writing(notes: Sequence[str], tasks: Sequence[RankingTask]) -> dict[str, Any]:
    """How the notes read: ends, lengths, copies, repetitions, and samples."""
    words = [text.split() for text in notes]
    copied = [_copied(text, task) for text, task in zip(notes, tasks, strict=True)]
    return {
        "distinct": len(set(notes)) / len(notes),
        "ended": fmean(text.endswith(".") for text in notes),
        "mean_words": round(fmean(len(w) for w in words), 1),
        "words_of_history": round(fmean(copied), 3),
        "repeats_a_word_in_a_row": fmean(any(a == b for a, b in pairwise(w)) for w in words),
        "samples": list(notes[:12]),
    }


def slots(pocket: Pocket, tasks: Sequence[RankingTask], shuffles: int = 5) -> dict[str, float]:
    """Shuffled candidates: how far a target's rank spreads, and its correlation with the slot,
    both within a user."""
    rng = random.Random("shuffles")
    places, ranks = [], []
    for task in tasks:
        target = next(item for item in task.candidates if item.id == task.target_id)
        orders = [tuple(rng.sample(task.candidates, len(task.candidates))) for _ in range(shuffles)]
        shuffled = [RankingTask("", task.history, order, task.target_id) for order in orders]
        places.append([order.index(target) for order in orders])
        ranks.append(pocket.ranks(shuffled, [None] * shuffles))
    place, rank = (torch.tensor(x, dtype=torch.float32) for x in (places, ranks))
    within = torch.stack([x - x.mean(1, keepdim=True) for x in (place, rank)]).flatten(1)
    return {
        "rank_standard_deviation": round(float(rank.std(1).mean()), 3),
        "slot_rank_correlation": round(float(torch.corrcoef(within)[0, 1]), 3),
    }


def _copied(text: str, task: RankingTask) -> float:
    """Share of a note's words that stand in the history, or are a template's function words."""
    known = " ".join(item.title.lower() for item in task.history)
    words = [word for word in text.replace(".", "").replace(",", "").split() if len(word) > 3]
    return fmean(word in known for word in words) if words else 0.0


def main() -> None:
    """Prints the figures; needs the Games files for the first part."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--weights", type=Path, default=MODEL_DIR, help="default: the model's own")
    parser.add_argument("--games", type=Path, help="folder of Games.item and Games.test.inter")
    parser.add_argument("--users", type=int, default=400, help="Games users (default 400)")
    parser.add_argument("--worlds", type=int, default=100, help="invented shoppers (default 100)")
    parser.add_argument("--half", choices=("test", "validation"), default="test")
    args = parser.parse_args()
    pocket = load(args.weights)
    torch.manual_seed(0)
    result: dict[str, Any] = {}
    if args.games:
        drawn = load_tasks(args.games, users=2 * args.users)
        tasks = drawn[args.users :] if args.half == "test" else drawn[: args.users]
        notes = pocket.write([generation_messages(task) for task in tasks])
        result["games"] = with_notes(pocket, tasks, notes)
        result["games_notes"] = writing(notes, tasks)
        result["games_slots"] = slots(pocket, tasks[:30])
    result["invented"] = invented(pocket, args.worlds)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
