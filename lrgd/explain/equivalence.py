"""What was measured of in-context learning as gradient descent on a model's own weights.

How it is measured: `lrgd.explain.equivalence_steps`.
"""

from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any, Literal

from torch import Tensor

from lrgd.theory.approximation import HeadGeometry
from lrgd.theory.convergence import Curve
from lrgd.theory.feature_maps import MapName

Precision = Literal["float32", "float64"]


@dataclass(frozen=True, slots=True)
class Exactness:
    """Largest absolute differences between the model and its exact duals, in one precision."""

    precision: Precision
    heads: float
    states: float
    largest_state: float
    logits: float
    largest_logit: float
    tokens: int
    same_tokens: int
    """How many greedy tokens agree before the first that does not."""
    later_logits: float
    """Largest logit difference until then."""


@dataclass(frozen=True, slots=True)
class Advantages:
    """The true item against its best rival, under what the prompt's readers may see.

    The first four are logit differences of the next token where the two titles first differ, the
    last two log-likelihood differences of the whole titles, in nats.
    """

    rival: str
    """Title."""
    rank: int
    """Of the true item, by likelihood."""
    whole_prompt: float
    without_step: float
    """W0 alone: the gradient step on D is left out."""
    masked_at_answer: float
    """The last token does not see D; the tokens between have seen it."""
    masked_everywhere: float
    """No token sees D."""
    titles: float
    titles_masked: float
    """No token sees D."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The median over heads, for each seed: middle, least and largest."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Equivalence:
    """What was measured so far: None and empty for what comes yet."""

    model: str
    user: str
    prompt_tokens: int
    demonstration: str
    demonstration_tokens: int
    bad_demonstration: str
    exactness: tuple[Exactness, ...] = ()
    advantages: Advantages | None = None
    good: Curve | None = None
    bad: Curve | None = None
    heads: tuple[HeadGeometry, ...] = ()
    feature_heads: int = 0
    """How many heads the errors are of."""
    feature_errors: dict[MapName, dict[int, Spread]] | None = None
    depth_size: int = 0
    """D of the error against depth."""
    depth_errors: dict[MapName, tuple[float, ...]] | None = None
    """Of the residual stream after 0, 1, ... layers, in one draw."""

    def numbers(self) -> dict[str, Any]:
        """As JSON, with null where an estimate failed altogether and is infinite."""
        found: dict[str, Any] = _plain(asdict(self))
        return found


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, Tensor):
        return _plain(value.tolist())
    return None if isinstance(value, float) and not isfinite(value) else value
