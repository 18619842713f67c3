"""What a debugging session shows: small frozen values, never printed text.

All text in them is as it came from data, people and models. A face escapes it before it shows it.
"""

from dataclasses import dataclass
from typing import Literal

from lrgd.agents.generator import Verdict
from lrgd.agents.guard import Judgement
from lrgd.agents.values import Item, Ranking
from lrgd.debug.words import Change

Author = Literal["path", "person", "perturbation", "nobody"]


@dataclass(frozen=True, slots=True)
class Ranked:
    """A demonstration and the ranking it gives."""

    text: str
    """Empty: ranked without a demonstration (zero-shot)."""
    author: Author
    path: int | None
    """The path that wrote it, or that it was written beside."""
    round: int
    """Round in which it came up, 1-based; 0 before the first."""
    ranking: Ranking
    """Of the session's task; over several tasks, of the latest."""
    effect: float
    """Effect_D, the mean over the session's tasks."""
    rank: int
    """Of the true next item in `ranking`."""
    verdict: Verdict = "usable"
    perturbed_by: str | None = None
    """Id of the demonstration that was injected when it was written."""

    @property
    def label(self) -> str:
        """Whose it is, in words."""
        return {
            "path": f"path {self.path}, round {self.round}",
            "person": "yours",
            "perturbation": f"path {self.path}, perturbed",
            "nobody": "no demonstration",
        }[self.author]


@dataclass(frozen=True, slots=True)
class Place:
    """A candidate in a ranking."""

    rank: int
    item_id: str
    title: str
    probability: float | None = None
    is_target: bool = False
    """Always False while the true next item is hidden."""


@dataclass(frozen=True, slots=True)
class Move:
    """How a candidate's rank changed."""

    item_id: str
    title: str
    before: int
    after: int
    is_target: bool = False

    @property
    def gain(self) -> int:
        """Ranks that it rose; below 0 it fell."""
        return self.before - self.after


@dataclass(frozen=True, slots=True)
class PathView:
    """Where one path stands."""

    index: int
    text: str
    """Its latest usable demonstration; empty before the first."""
    effects: tuple[float, ...]
    """Effect_D of each round."""
    similarities: tuple[float, ...]
    """Cosine of each usable demonstration and the one before it, as the guard found it."""
    resting: bool
    """Whether it put the true next item first."""


@dataclass(frozen=True, slots=True)
class CaseView:
    """One user's case, and where the session stands in it."""

    user_id: str
    profile: str
    history: tuple[Item, ...]
    """Oldest first."""
    candidates: tuple[Item, ...]
    target: Item | None
    """The true next item; None while it is hidden."""
    round: int
    """Completed rounds."""
    rounds: int
    paths: tuple[PathView, ...]
    in_hand: Ranked | None
    """What was ranked last: what /write is set beside, /why explains and /case saves."""
    places: tuple[Place, ...]
    """The ranking in hand, best first; empty before the first."""
    next: str
    """The node that comes next, as "generator of path 0"; empty at the end."""
    next_node: str
    next_path: int | None
    settings: tuple[tuple[str, str], ...]
    """What rankings are made with: mode, shuffles, prompt order, regularisation."""


@dataclass(frozen=True, slots=True)
class RevealView:
    """The true next item."""

    item: Item
    rank: int | None
    """In the ranking in hand; None before the first."""
    candidates: int


@dataclass(frozen=True, slots=True)
class StepView:
    """What one node did."""

    node: str
    path: int | None
    round: int
    text: str = ""
    """The demonstration at this step."""
    diff: tuple[Change, ...] = ()
    """From the path's demonstration before."""
    verdict: Verdict | None = None
    effect: float | None = None
    rank: int | None = None
    candidates: int = 0
    effects: tuple[float, ...] = ()
    """Effect_D of the path's rounds so far; of the chosen one: when it was written."""
    recalled: tuple[str, ...] = ()
    """Effective demonstrations that memory gave, best first."""
    perturbed_by: str = ""
    """Text of the demonstration that was injected."""
    judgements: tuple[Judgement, ...] = ()
    similarities: tuple[tuple[float, ...], ...] = ()
    """For each judgement, the path's cosines so far."""
    similarity_threshold: float | None = None
    """Cosine from which the guard calls two demonstrations copies."""
    places: tuple[Place, ...] = ()
    """The ranking, best first."""
    calls: int = 0
    stopped_by: str = ""


@dataclass(frozen=True, slots=True)
class StepsView:
    """Several steps, in their order."""

    steps: tuple[StepView, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two rankings side by side."""

    change: str
    """What was changed between them, in words."""
    before: Ranked
    after: Ranked
    moves: tuple[Move, ...]
    """Items whose rank changed; what changed most, by the discount of nDCG, first."""
    places: tuple[Place, ...]
    """The ranking after, best first."""
    similarity: float
    """Cosine of the two demonstrations; 1 where the text is the same."""


@dataclass(frozen=True, slots=True)
class KeptView:
    """A demonstration that went to memory."""

    text: str
    author: Author
    effect: float
    id: str


@dataclass(frozen=True, slots=True)
class PromptPart:
    """A piece of a prompt."""

    name: str
    text: str
    tokens: int | None
    """None where no tokenizer is known."""


@dataclass(frozen=True, slots=True)
class PromptView:
    """The exact text of one call."""

    call: str
    path: int | None
    messages: tuple[tuple[str, str], ...]
    """Role and content; several where a ranking takes several questions."""
    parts: tuple[PromptPart, ...]
    """The first message, cut where its content changes kind."""
    shared: int
    """How much of its beginning a prefix cache could serve from `shared_with`."""
    total: int
    unit: Literal["tokens", "characters"]
    shared_with: str
    """The call before; empty for the first."""


@dataclass(frozen=True, slots=True)
class PartEffect:
    """What leaving out one part does."""

    kind: Literal["demonstration", "sentence", "history"]
    text: str
    rank_without: int
    """Of the item."""
    shift: float | None
    """log p(item) - log p(rival) with the part, minus the same without; None in a mode without
    probabilities."""


@dataclass(frozen=True, slots=True)
class WordShift:
    """What one word does on a model whose weights are here (theory/): in nats of the titles'
    likelihoods, `direct` in logits of the first token in which they differ."""

    word: str
    effect: float
    """Item minus rival: with the word, minus with it masked everywhere."""
    direct: float
    """The direct path's part of it, centred."""


@dataclass(frozen=True, slots=True)
class WhyView:
    """Why an item stands where it does, against a rival."""

    item: Place
    rival: Place
    demonstration: str
    parts: tuple[PartEffect, ...]
    words: tuple[WordShift, ...] = ()
    note: str = ""
    """Why there are no words."""


@dataclass(frozen=True, slots=True)
class CheckpointView:
    """A saved state of the thread."""

    n: int
    """1 is the oldest; a number never changes its meaning."""
    parent: int | None
    did: str
    """What was done to get here."""
    round: int
    effect: float | None
    """Of the demonstration in hand."""
    current: bool
    """Whether the session stands here."""


@dataclass(frozen=True, slots=True)
class HistoryView:
    """All checkpoints of the thread, every branch."""

    checkpoints: tuple[CheckpointView, ...]
