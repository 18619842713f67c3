"""Training examples: invented shoppers, in the very prompts that the model has to serve."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from agents import prompts
from agents.prompts import Attempt
from serving.pocket.inference import Pocket
from serving.pocket.worlds import Shopper, shopper, world

NOTES = {
    1: (
        "leans to {}.",
        "mostly {}.",
        "keeps buying {}.",
        "looks for more {}.",
        "wants {} above all.",
        "a fan of {}.",
    ),
    2: (
        "leans to {}, also {}.",
        "mostly {}, often {}.",
        "wants {} with {}.",
        "keeps buying {} and {}.",
        "looks for {}, preferably {}.",
        "{} above all, then {}.",
        "a fan of {} and {}.",
        "returns to {}; {} comes up too.",
    ),
    3: (
        "leans to {}, also {} and {}.",
        "mostly {}, often {}, at times {}.",
        "wants {} with {} and {}.",
        "keeps buying {}, {} and {}.",
        "looks for {}, preferably {} or {}.",
        "a fan of {}, {} and {}.",
        "returns to {} and {}; {} comes up too.",
    ),
}
"""Sentences for one, two and three words or names of the history."""


@dataclass(frozen=True, slots=True)
class Example:
    """Token ids of a prompt and, for writing, of the note that should follow."""

    prompt: list[int]
    answer: list[int]


def example_shopper(
    rng: random.Random, *, candidates: int = 2, history: tuple[int, int] = (3, 12)
) -> Shopper:
    """A shopper of a new world, most histories rather short."""
    low, high = history
    length = min(rng.randint(low, high), rng.randint(low, high) + 2)
    shop = world(rng, products=max(60, candidates + length + 20))
    return shopper(rng, shop, history=length, candidates=candidates)


def writing_example(rng: random.Random, pocket: Pocket) -> Example:
    """A generation prompt as the loop makes them, and a note that fits it."""
    someone = example_shopper(rng)
    values = _choice_of_values(rng, someone.shown)
    last, effective, perturbation = None, [], None
    if rng.random() < 0.5:
        last = _attempt(rng, _other_values(rng, someone, values), good=rng.random() < 0.3)
    if rng.random() < 0.4:
        effective = [_attempt(rng, values[:1], good=True) for _ in range(rng.randint(1, 2))]
    if rng.random() < 0.3:
        shared = [values[-1], _other_values(rng, example_shopper(rng), [])[0]]
        perturbation = note(rng, rng.sample(shared, 2))
    messages = prompts.generation_messages(
        someone.task,
        last=last,
        effective=effective,
        perturbation=perturbation,
        order=rng.choice(("instruction_first", "demonstration_first")),
    )
    answer = note(rng, values) + pocket.tokenizer.eos_token
    return Example(pocket.writing_ids(messages), pocket.encode(answer))


def ranking_example(
    rng: random.Random, pocket: Pocket, *, candidates: int
) -> tuple[list[int], Shopper]:
    """A ranking prompt, with a note half of the time."""
    someone = example_shopper(rng, candidates=candidates)
    text = None
    if rng.random() < 0.5:
        text = note(rng, _choice_of_values(rng, someone.shown))
    return pocket.ranking_ids(someone.task, text), someone


def note(rng: random.Random, values: Sequence[str]) -> str:
    """A sentence on one to three values."""
    return rng.choice(NOTES[len(values)]).format(*values).lower()


def _choice_of_values(rng: random.Random, shown: Sequence[str]) -> list[str]:
    """One to three of the first, in their order."""
    count = min(len(shown), rng.choice((1, 2, 2, 3, 3)))
    head = list(shown[: count + 1])
    while len(head) > count:
        head.pop(rng.randrange(len(head)))
    return head


def _other_values(rng: random.Random, someone: Shopper, values: Sequence[str]) -> list[str]:
    """Values of the history that a note does not name."""
    rest = [v for v in someone.shown if v not in values] or ["nothing"]
    return rng.sample(rest, min(len(rest), rng.randint(1, 2)))


def _attempt(rng: random.Random, values: Sequence[str], *, good: bool) -> Attempt:
    candidates = rng.choice((10, 20, 50, 50))
    rank = rng.randint(1, 3) if good else rng.randint(4, candidates)
    return Attempt(note(rng, values), rank, candidates)
