"""Heats: ranks more options than one question may have, as in a race.

Heats of nearly equal size are put at once, over the same context; the best of each meet in a final.
Options that miss the final are placed by Luce's choice axiom: the ratio of two options'
probabilities does not depend on which others stand beside them, so a heat's finalists say by what
factor the heat is to be scaled. (R. D. Luce, Individual Choice Behavior, 1959.)
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from lrgd.agents.prompts import RankingContext, option_names
from lrgd.agents.ranking.choices import Chooser, Probabilities, share_of
from lrgd.agents.values import Item, Ranking, Usage, ranking_from
from lrgd.core.errors import RankingFailed

LEAST = 1e-30
"""A heat whose finalists have less says nothing about the others in it."""


@dataclass(frozen=True, slots=True)
class ChoiceRanker:
    """Ranks by the probability of each candidate."""

    chooser: Chooser
    limit: int
    """Options that one question may have, 2 or more."""

    async def rank(self, context: RankingContext, candidates: Sequence[Item]) -> Ranking:
        """Raises EndpointError where the server does not answer in this way; RankingFailed where
        it refuses to."""
        names = option_names(candidates)
        asked = await self._ask(context.text, list(names))
        if not any(asked.of_name.values()):
            told = f"the model gave no probability to any of {len(names)} options"
            raise RankingFailed(told, "empty", asked.usage.counts)
        of_item = {names[name]: p for name, p in asked.of_name.items()}
        ranking = ranking_from(of_item, candidates, asked.usage)
        share = share_of(asked.questions) if self.chooser.open_ended else None
        return replace(ranking, audit=replace(ranking.audit, share=share))

    async def _ask(self, context: str, names: Sequence[str]) -> "_Asked":
        heats, usage = await self.chooser.choose(context, heats_of(names, self.limit))
        if len(heats) == 1:
            return _Asked(heats[0], heats, usage)
        winners = {name for heat in heats for name in finalists(heat, self.limit // len(heats))}
        if len(winners) < 2:
            return _Asked({name: p for heat in heats for name, p in heat.items()}, heats, usage)
        final = await self._ask(context, [name for name in names if name in winners])
        return _Asked(merged(heats, final.of_name), [*heats, *final.questions], usage + final.usage)


@dataclass(frozen=True, slots=True)
class _Asked:
    of_name: Probabilities
    """On one scale."""
    questions: Sequence[Probabilities]
    """As they were answered."""
    usage: Usage


def heats_of(names: Sequence[str], limit: int) -> list[list[str]]:
    """The names in as few heats of at most `limit` as can be, their sizes as equal as can be."""
    if limit < 2:
        raise ValueError(f"a question needs 2 options or more, got a limit of {limit}")
    count = -(-len(names) // limit)
    bounds = [len(names) * n // count for n in range(count + 1)]
    return [list(names[a:b]) for a, b in pairwise(bounds)]


def finalists(heat: Probabilities, seats: int) -> list[str]:
    """The likeliest options of a heat, at least one; equal ones in their order."""
    return sorted(heat, key=lambda name: -heat[name])[: max(1, seats)]


def merged(heats: Sequence[Probabilities], final: Probabilities) -> Probabilities:
    """All options on one scale that sums to 1: finalists as in the final, the others scaled."""
    scaled = dict(final)
    for heat in heats:
        shared = [name for name in heat if name in final]
        before = sum(heat[name] for name in shared)
        scale = sum(final[name] for name in shared) / before if before > LEAST else 0.0
        scaled |= {name: p * scale for name, p in heat.items() if name not in final}
    total = sum(scaled.values())
    return {name: p / total for name, p in scaled.items()} if total else scaled
