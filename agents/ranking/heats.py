"""Heats: ranks more options than one question may have, as in a race.

Heats of nearly equal size are put at once, over the same state; the best of each meet in a final.
Options that miss the final are placed by Luce's choice axiom: the ratio of two options'
probabilities does not depend on which others stand beside them, so a heat's finalists say by what
factor the heat is to be scaled. (R. D. Luce, Individual Choice Behavior, 1959.)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from lrgd.agents.endpoint.client import Usage
from lrgd.agents.prompts import RankingContext, option_names
from lrgd.agents.ranking.choices import Chooser, Probabilities
from lrgd.agents.values import Item, Ranking, ranking_from


@dataclass(frozen=True, slots=True)
class ChoiceRanker:
    """Ranks by the probability of each candidate."""

    chooser: Chooser
    limit: int
    """Options that one question may have, 2 or more."""

    async def rank(
        self, context: RankingContext, candidates: Sequence[Item]
    ) -> tuple[Ranking, Usage]:
        """Raises EndpointError where the server does not answer in this way."""
        names = option_names(candidates)
        found, usage = await self._ask(context.text, list(names))
        return ranking_from({names[n]: p for n, p in found.items()}, candidates), usage

    async def _ask(self, state: str, names: Sequence[str]) -> tuple[Probabilities, Usage]:
        heats = heats_of(names, self.limit)
        found, usage = await self.chooser.choose(state, heats)
        if len(heats) == 1:
            return found[0], usage
        winners = {name for heat in found for name in finalists(heat, self.limit // len(heats))}
        if len(winners) < 2:
            return {name: p for heat in found for name, p in heat.items()}, usage
        final, more = await self._ask(state, [name for name in names if name in winners])
        return merged(found, final), usage + more


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
    found = dict(final)
    for heat in heats:
        shared = [name for name in heat if name in final]
        before = sum(heat[name] for name in shared)
        scale = sum(final[name] for name in shared) / before if before else 0.0
        found |= {name: p * scale for name, p in heat.items() if name not in final}
    total = sum(found.values())
    return {name: p / total for name, p in found.items()} if total else found
