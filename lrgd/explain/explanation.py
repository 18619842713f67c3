"""Explains one ranking: which words of the demonstration moved an item against its rival.

A word effect is that of the title's likelihood, whatever the run's ranking mode: what is explained
is log p(title, end of turn | prompt) of the item minus the rival's, in nats. (The content-free
likelihood that the ranking subtracts has no demonstration in it, and cancels in every effect.)

Three numbers a word. Effect: what masking the word for every token takes away from that difference.
Centred and plain: the direct path from the word to ONE next token, where the two titles first
differ, in units of its logit difference, read off the last row. A deep model carries words on by
way of other tokens, so the direct path holds only a part of the effect.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import takewhile
from typing import Any

import torch

from lrgd.agents.values import Item, Ranking, RankingTask
from lrgd.core.errors import InputError
from lrgd.explain.model import LocalModel, RankingPrompt, ranked
from lrgd.theory import Attribution, PromptState, attribute, log_likelihoods, read_prompt

Report = Callable[[int, int], None]
"""Called with how many words are done, and of how many."""


@dataclass(frozen=True, slots=True)
class WordEffect:
    """How much one word moved the item against its rival."""

    word: str
    effect: float
    """Of the titles' likelihoods, in nats: the difference with the word, minus the difference with
    it masked for every token."""
    centred: float
    """Direct path, sum of p_i (v_i - h) . z over its tokens, layers and heads."""
    plain: float
    """The same with p_i v_i . z: the dual's training samples."""


@dataclass(frozen=True, slots=True)
class HeadEffect:
    """What one head of the prompt's last token takes from the demonstration."""

    layer: int
    head: int
    attention: float
    """Its attention on the demonstration, 0 to 1."""
    centred: float


@dataclass(frozen=True, slots=True)
class WordEffects:
    """What the words of a demonstration do for an item against a rival."""

    difference: float
    """log p of the item's title minus the rival's, in nats."""
    words: tuple[WordEffect, ...]
    heads: tuple[HeadEffect, ...]
    """Of the direct path, largest first."""
    shared_tokens: int
    """Tokens that both titles begin with: the direct path is read after them."""
    tokens: tuple[int, int]
    """The item's and the rival's next token there."""
    token_difference: float
    """Logit difference of these two."""
    incompleteness: float
    """Sum of all terms of the direct path minus the model's own logit difference."""

    @property
    def direct(self) -> float:
        """The demonstration's direct path, centred."""
        return sum(head.centred for head in self.heads)


@dataclass(frozen=True, slots=True)
class Explanation:
    """A ranking, and what the demonstration did in it."""

    model: str
    task: RankingTask
    demonstration: str
    ranking: Ranking
    """By likelihood, whatever a run's ranking mode."""
    item: Item
    rival: Item
    effect: float
    """Of the whole demonstration: the difference that masking all of it takes away, in nats."""
    rank_without: int
    """The item's rank with the demonstration masked."""
    tokens: tuple[str, str]
    """The next tokens of the direct path, as text."""
    word_effects: WordEffects

    def numbers(self) -> dict[str, Any]:
        """As JSON."""
        numbers = asdict(self)
        numbers |= numbers.pop("word_effects")
        numbers["user"] = numbers.pop("task")["user_id"]
        numbers["rank"] = self.ranking.rank_of(self.item.id)
        return {**numbers, "tokens": self.tokens, "direct": self.word_effects.direct}


def explain(
    local: LocalModel,
    task: RankingTask,
    demonstration: str,
    prompt: RankingPrompt,
    item: Item,
    report: Report = lambda done, of: None,
) -> Explanation:
    """Rank a task's candidates by likelihood and explain one item's place, against the best ranked
    other item.

    Args:
        item: one of the task's candidates.
        report: hears of progress.

    Raises:
        InputError: all candidates have one title, or the prompt does not fit the model.
    """
    state = read_prompt(local.decoder, prompt.partition.ids)
    content_free = prompt.likelihoods(read_prompt(local.decoder, prompt.content_free))
    ranking = ranked(prompt.likelihoods(state), content_free, task.candidates)
    rival = _best_other(ranking, prompt, item.id)
    effects = word_effects(state, prompt, item.id, rival, report)
    without = prompt.likelihoods(state, prompt.partition.demonstration.nonzero()[:, 0].tolist())
    item_token, rival_token = map(local.tokenizer.decode, effects.tokens)
    return Explanation(
        model=local.name,
        task=task,
        demonstration=demonstration,
        ranking=ranking,
        item=item,
        rival=next(other for other in task.candidates if other.id == rival),
        effect=effects.difference - (without[item.id] - without[rival]),
        rank_without=ranked(without, content_free, task.candidates).rank_of(item.id),
        tokens=(item_token, rival_token),
        word_effects=effects,
    )


def word_effects(
    state: PromptState,
    prompt: RankingPrompt,
    item_id: str,
    rival_id: str,
    report: Report = lambda done, of: None,
) -> WordEffects:
    """What each word does for one item against another.

    Args:
        state: of the prompt.
        report: hears of progress.

    Raises:
        InputError: both items have one title.
    """
    item, rival = prompt.titles[item_id], prompt.titles[rival_id]
    if item == rival:
        raise InputError(
            f"{item_id!r} and {rival_id!r} have the same title: no word tells them apart"
        )

    def difference(hidden: tuple[int, ...] = ()) -> float:
        of_item, of_rival = log_likelihoods(state, (item, rival), hidden).tolist()
        return float(of_item - of_rival)

    whole, effects = difference(), []
    for done, of_word in enumerate(prompt.partition.word_tokens, start=1):
        effects.append(whole - difference(of_word))
        report(done, len(prompt.partition.words))
    at, of_d, tokens = where_titles_differ(state, prompt, item_id, rival_id)
    direct = attribute(at, of_d, *tokens)
    return WordEffects(
        difference=whole,
        words=_words(prompt, direct, effects),
        heads=_heads(direct),
        shared_tokens=len(at) - len(state),
        tokens=tokens,
        token_difference=direct.difference,
        incompleteness=direct.total - direct.difference,
    )


def where_titles_differ(
    state: PromptState, prompt: RankingPrompt, item_id: str, rival_id: str
) -> tuple[PromptState, torch.Tensor, tuple[int, int]]:
    """The prompt, read on by the tokens that two titles begin with, mostly none.

    There, and only there, the titles differ by the logit difference of one next token, which the
    direct path splits.

    Returns:
        What was read, which of its tokens are D (booleans), and both next tokens.
    """
    item, rival = prompt.titles[item_id], prompt.titles[rival_id]
    pairs = zip(item, rival, strict=False)
    common = [a for a, _ in takewhile(lambda pair: pair[0] == pair[1], pairs)]
    of_d, tokens = prompt.partition.demonstration, (item[len(common)], rival[len(common)])
    if not common:
        return state, of_d, tokens
    state = read_prompt(state.decoder, torch.cat([state.ids, state.ids.new_tensor(common)]))
    return state, torch.cat([of_d, of_d.new_zeros(len(common))]), tokens


def _best_other(ranking: Ranking, prompt: RankingPrompt, item_id: str) -> str:
    others = (i for i in ranking.order if prompt.titles[i] != prompt.titles[item_id])
    if (best := next(others, None)) is None:
        raise InputError("all candidates have one title: no word tells them apart")
    return best


def _words(
    prompt: RankingPrompt, direct: Attribution, effects: list[float]
) -> tuple[WordEffect, ...]:
    column = {int(position): i for i, position in enumerate(direct.positions)}

    def along(scores: torch.Tensor, tokens: tuple[int, ...]) -> float:
        return float(scores[..., [column[t] for t in tokens]].sum())

    triples = zip(prompt.partition.words, prompt.partition.word_tokens, effects, strict=True)
    return tuple(
        WordEffect(word, effect, along(direct.centred, tokens), along(direct.plain, tokens))
        for word, tokens, effect in triples
    )


def _heads(direct: Attribution) -> tuple[HeadEffect, ...]:
    centred = direct.centred.sum(-1)
    effects = [
        HeadEffect(layer, head, float(direct.mass[layer, head]), float(centred[layer, head]))
        for layer in range(centred.shape[0])
        for head in range(centred.shape[1])
    ]
    return tuple(sorted(effects, key=lambda h: -abs(h.centred)))
