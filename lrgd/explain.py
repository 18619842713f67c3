"""Explains one ranking: which words of the demonstration moved an item against its rival.

Three numbers a word, in units of a logit difference. Effect: what masking the word everywhere takes
away, one forward pass each. Centred and plain: the direct path from the word to the answer, read
off the last row. Where a model's middle layers carry the word on to other tokens, as the pocket
model's do, the direct path holds little of the effect.
"""

from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from agents.values import Item, Ranking, RankingTask
from lrgd.local_model import LocalModel, RankingPrompt
from memory.errors import InputError
from theory import Attribution, PromptState, attribute, masked_everywhere, read_prompt


@dataclass(frozen=True, slots=True)
class WordEffect:
    """How much one word moved the item's logit against the rival's."""

    word: str
    effect: float
    """Difference with the word, minus the difference with it masked for every token."""
    centred: float
    """Direct path, sum of p_i (v_i - h) . z over its tokens, layers and heads."""
    plain: float
    """The same with p_i v_i . z: the dual's training samples."""


@dataclass(frozen=True, slots=True)
class HeadEffect:
    """What one head of the last token takes from the demonstration."""

    layer: int
    head: int
    attention: float
    """Its attention on the demonstration, 0 to 1."""
    centred: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """A ranking, and what the demonstration did in it."""

    model: str
    task: RankingTask
    demonstration: str
    ranking: Ranking
    item: Item
    rival: Item
    difference: float
    """Logit of the item minus the rival's."""
    effect: float
    """Of the whole demonstration: the difference that masking all of it takes away."""
    rank_without: int
    """The item's rank with the demonstration masked."""
    words: tuple[WordEffect, ...]
    heads: tuple[HeadEffect, ...]
    """Largest effects first."""
    incompleteness: float
    """Sum of all terms of the direct path minus the model's own logit difference."""

    @property
    def direct(self) -> float:
        """The demonstration's direct path, centred."""
        return sum(head.centred for head in self.heads)

    def numbers(self) -> dict[str, Any]:
        """As JSON."""
        found = asdict(self)
        del found["task"]
        found["user"] = self.task.user_id
        found["rank"] = self.ranking.rank_of(self.item.id)
        return {**found, "direct": self.direct}


def explain(
    local: LocalModel,
    task: RankingTask,
    demonstration: str,
    prompt: RankingPrompt,
    item_id: str,
    rival_id: str | None = None,
) -> Explanation:
    """Rank a task's candidates and explain one item's place.

    Args:
        rival_id: another candidate; None for the best ranked other one.

    Raises:
        InputError: an item is no candidate, or the prompt does not fit the model.
    """
    items = {item.id: item for item in task.candidates}
    for wanted in (item_id, rival_id or item_id):
        if wanted not in items:
            some = ", ".join(list(items)[:5])
            raise InputError(f"no candidate {wanted!r} in this task; some that are: {some}")
    state = read_prompt(local.decoder, prompt.partition.ids)
    ranking = prompt.ranking(state.logits, task.candidates)
    rival = rival_id or next(i for i in ranking.order if i != item_id)
    target, other = prompt.labels[item_id], prompt.labels[rival]
    direct = attribute(state, prompt.partition.demonstration, target, other)
    masked = _masked(state, prompt)
    differences = masked[:, target] - masked[:, other]
    return Explanation(
        model=local.name,
        task=task,
        demonstration=demonstration,
        ranking=ranking,
        item=items[item_id],
        rival=items[rival],
        difference=direct.difference,
        effect=direct.difference - float(differences[-1]),
        rank_without=prompt.ranking(masked[-1], task.candidates).rank_of(item_id),
        words=_words(prompt, direct, direct.difference - differences[:-1]),
        heads=_heads(direct),
        incompleteness=direct.total - direct.difference,
    )


def _masked(state: PromptState, prompt: RankingPrompt) -> Tensor:
    whole = prompt.partition.demonstration.nonzero()[:, 0].tolist()
    return masked_everywhere(state, [*prompt.partition.word_tokens, whole])


def _words(prompt: RankingPrompt, direct: Attribution, effects: Tensor) -> tuple[WordEffect, ...]:
    column = {int(position): i for i, position in enumerate(direct.positions)}

    def along(scores: Tensor, tokens: tuple[int, ...]) -> float:
        return float(scores[..., [column[t] for t in tokens]].sum())

    triples = zip(
        prompt.partition.words, prompt.partition.word_tokens, effects.tolist(), strict=True
    )
    return tuple(
        WordEffect(word, effect, along(direct.centred, tokens), along(direct.plain, tokens))
        for word, tokens, effect in triples
    )


def _heads(direct: Attribution) -> tuple[HeadEffect, ...]:
    centred = direct.centred.sum(-1)
    found = [
        HeadEffect(layer, head, float(direct.mass[layer, head]), float(centred[layer, head]))
        for layer in range(centred.shape[0])
        for head in range(centred.shape[1])
    ]
    return tuple(sorted(found, key=lambda h: -abs(h.centred)))
