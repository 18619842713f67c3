"""What `lrgd equivalence` looks at (a task with two demonstrations), and the values it measures.

How they are measured: `lrgd.explain.equivalence_steps`.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from math import isfinite
from typing import Any, Literal

from torch import Tensor

from lrgd.agents.prompts import sanitized
from lrgd.agents.values import Item, RankingTask
from lrgd.explain.model import LocalModel, RankingPrompt, ranking_prompt
from lrgd.theory import PromptState, greedy, read_prompt
from lrgd.theory.approximation import SIZES, HeadGeometry
from lrgd.theory.convergence import Curve
from lrgd.theory.decoder import Row
from lrgd.theory.draws import draw_directions
from lrgd.theory.feature_maps import MapName

OUTPUT_TOKENS = 8
"""Output tokens of figure 8. An answer may begin with words such as "The shopper buys a"."""
TRIED = 5
"""Tasks that are tried until one has an answer that names the true item."""


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
    """Largest logit difference until the first token that differs."""


@dataclass(frozen=True, slots=True)
class Advantages:
    """The true item against its best rival, with more or less of the demonstration D visible.

    The first four are logit differences of the next token where the two titles first differ, the
    last two log-likelihood differences of the whole titles, in nats.
    """

    rival: str
    """Title."""
    rank: int
    """Rank of the true item, by likelihood."""
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
    """Of the median over heads, one a seed: the median, the least and the largest."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Equivalence:
    """What was measured so far. A field is None or empty until its step is done."""

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
    """Heads that `feature_errors` was measured on."""
    feature_errors: dict[MapName, dict[int, Spread]] | None = None
    depth_size: int = 0
    """D of `depth_errors`."""
    depth_errors: dict[MapName, tuple[float, ...]] | None = None
    """Of the residual stream after 0, 1, ... layers, in one draw."""

    def numbers(self) -> dict[str, Any]:
        """As JSON; null stands for an estimate that failed and is infinite."""
        numbers: dict[str, Any] = _as_json(asdict(self))
        return numbers


def _as_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _as_json(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(inner) for inner in value]
    if isinstance(value, Tensor):
        return _as_json(value.tolist())
    return None if isinstance(value, float) and not isfinite(value) else value


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
    """The model's rows for its own greedy answer to the good one, `OUTPUT_TOKENS` of them."""
    token: int
    """The first token of the true item's title, in the spelling that the answer is nearest to."""
    named: bool
    """Whether the answer has that token."""


@dataclass(frozen=True)
class Lab:
    """What the steps of the measurement work on."""

    case: Case
    tokens: int
    """Greedy tokens to compare in float32."""
    seeds: int
    """Draws of random features."""

    @cached_property
    def state(self) -> PromptState:
        """The good prompt, read in float32."""
        return read_prompt(self.case.local.decoder, self.case.good.partition.ids)

    @property
    def of_d(self) -> Tensor:
        return self.case.good.partition.demonstration

    def directions(self, seed: int) -> Tensor:
        """Random directions of the feature maps, as many as the largest D."""
        return draw_directions(max(SIZES), self.case.local.decoder.layers[0].head_dim, seed=seed)


def note_of(item: Item) -> str:
    """A demonstration that names what an item is: brand and categories, or else its title."""
    return f"wants {' '.join((item.brand, *item.categories)).strip() or item.title}."


def unlike(task: RankingTask, target: Item) -> Item:
    """The first candidate whose note shares no word with the target's note, or else the last."""
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
    """First token of the title at an answer's beginning, and after a blank."""
    return [local.tokens(f"{blank}{sanitized(item.title)}")[0] for blank in ("", " ")]


def _nearest(rows: Sequence[Row], tokens: Sequence[int]) -> int:
    """The token whose logit comes nearest to the largest one of a row."""

    def margin(token: int) -> float:
        return min(float(row.logits.max() - row.logits[token]) for row in rows)

    return min(tokens, key=margin)
