"""Collapse guard: notices when a path's demonstrations become near-copies of each other.

Compares embeddings only: paraphrases far apart in embedding space pass.
Source: LRGD (arXiv 2504.04386), section 3.6.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from lrgd.memory import Embed

Policy = Literal["least_similar", "random"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the guard found on one path after one round, with the numbers that decided."""

    path: int
    round: int
    similarity: float | None
    """Cosine of the last two demonstrations; None while there is only one."""
    gain: float | None
    """Best Effect_D of the last `patience` rounds minus the best before; None until known."""
    collapsed: bool
    source: int | None = None
    """The path whose demonstration is injected in the next round."""


@dataclass(frozen=True, slots=True)
class CollapseGuard:
    """Decides collapse by similarity and stagnation, and which path's text to inject."""

    embed: Embed
    similarity_threshold: float = 0.85
    patience: int = 2
    policy: Policy = "least_similar"
    enabled: bool = True
    """False: collapse is still noted, nothing is injected."""

    def judge(
        self,
        path: int,
        round_: int,
        texts: Sequence[str],
        effects: Sequence[float],
        others: Mapping[int, str],
        *,
        seed: int,
    ) -> Judgement:
        """Judge one path.

        Args:
            texts: the path's usable demonstrations, oldest first.
            effects: Effect_D of each.
            others: the latest demonstration of every other path that has one.
            seed: for the random policy.
        """
        similarity = self._similarity(texts[-2], texts[-1]) if len(texts) > 1 else None
        gain = self._gain(effects)
        stuck = gain is not None and gain <= 0 and max(effects) < 1.0
        collapsed = stuck and similarity is not None and similarity >= self.similarity_threshold
        source = None
        if collapsed and self.enabled and others:
            source = self._choose(texts[-1], others, seed)
        return Judgement(path, round_, similarity, gain, collapsed, source)

    def _gain(self, effects: Sequence[float]) -> float | None:
        if len(effects) <= self.patience:
            return None
        return max(effects[-self.patience :]) - max(effects[: -self.patience])

    def _choose(self, text: str, others: Mapping[int, str], seed: int) -> int:
        if self.policy == "random":
            return random.Random(seed).choice(sorted(others))
        return min(sorted(others), key=lambda p: self._similarity(text, others[p]))

    def _similarity(self, a: str, b: str) -> float:
        rows = self.embed([a, b])
        return float(rows[0] @ rows[1])
