"""What `lrgd equivalence` looks at: a task, two demonstrations, and the true item's first token."""

from collections.abc import Sequence
from dataclasses import dataclass

from lrgd.agents.prompts import plain
from lrgd.agents.values import Item, RankingTask
from lrgd.explain.model import LocalModel, RankingPrompt, ranking_prompt
from lrgd.theory import greedy, read_prompt
from lrgd.theory.decoder import Row

OUTPUT_TOKENS = 8
"""Output tokens of figure 8: an answer's "The shopper buys a" comes before any item."""
TRIED = 5
"""Tasks that are looked at for one whose answer names the true item."""


@dataclass(frozen=True, slots=True)
class Case:
    """One task with a good and a bad demonstration, and what the model answers to the good one."""

    local: LocalModel
    task: RankingTask
    demonstration: str
    bad_demonstration: str
    good: RankingPrompt
    bad: RankingPrompt
    rows: tuple[Row, ...]
    """Of the model's own greedy answer to the good one, `OUTPUT_TOKENS` of them."""
    token: int
    """The first token of the true item's title, as the answer writes it or comes nearest to."""
    named: bool
    """Whether the answer has that token."""


def note_of(item: Item) -> str:
    """A demonstration that names what an item is: brand and categories, or else its title."""
    return f"wants {' '.join((item.brand, *item.categories)).strip() or item.title}."


def unlike(task: RankingTask, target: Item) -> Item:
    """The first candidate that shares no word of its note with the target's, or the last one."""
    words = set(note_of(target).lower().split()[1:])
    others = [item for item in task.candidates if item.id != target.id]
    apart = (i for i in others if words.isdisjoint(note_of(i).lower().split()[1:]))
    return next(apart, others[-1])


def choose(local: LocalModel, tasks: Sequence[RankingTask], demonstration: str | None) -> Case:
    """The first task whose good demonstration makes the model name the true item, else the first.

    Args:
        local: the model.
        tasks: of which the first `TRIED` are looked at.
        demonstration: the good one; None writes one that names the target.
    """
    cases = [case_of(local, tasks[0], demonstration)]
    for task in tasks[1:TRIED]:
        if cases[-1].named:
            return cases[-1]
        cases.append(case_of(local, task, demonstration))
    return cases[-1] if cases[-1].named else cases[0]


def case_of(local: LocalModel, task: RankingTask, demonstration: str | None) -> Case:
    """A task with its two demonstrations, read by the model."""
    target = task.target
    assert target is not None
    good_text = note_of(target) if demonstration is None else demonstration
    bad_text = note_of(unlike(task, target))
    good = ranking_prompt(local, task, good_text)
    written, rows = greedy(read_prompt(local.decoder, good.partition.ids), OUTPUT_TOKENS)
    token = _nearest(rows, _first_tokens(local, target))
    bad = ranking_prompt(local, task, bad_text)
    return Case(
        local, task, good_text, bad_text, good, bad, tuple(rows), token, named=token in written
    )


def _first_tokens(local: LocalModel, item: Item) -> list[int]:
    """At an answer's beginning, and after a blank."""
    return [local.tokens(f"{blank}{plain(item.title)}")[0] for blank in ("", " ")]


def _nearest(rows: Sequence[Row], tokens: Sequence[int]) -> int:
    """The token that comes nearest to being written."""

    def margin(token: int) -> float:
        return min(float(row.logits.max() - row.logits[token]) for row in rows)

    return min(tokens, key=margin)
