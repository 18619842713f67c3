"""What a debugging session shows: small frozen values, never printed text.

All text in them is as it came from data, people and models. A face escapes it before it shows it.
"""

from dataclasses import dataclass
from typing import Literal

from lrgd.agents.generator import Verdict
from lrgd.agents.guard import Judgement
from lrgd.agents.values import Item
from lrgd.debug.state import Author, Ranked
from lrgd.evals.data.bundle import Split


@dataclass(frozen=True, slots=True)
class Change:
    """Words that two texts share, or that only one of them has."""

    kind: Literal["same", "removed", "added"]
    text: str


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
    """Cosine of each usable demonstration and the one before it, as the guard measured it."""
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
    """What was ranked last: a new text is compared with it, /why explains it, /case saves it."""
    places: tuple[Place, ...]
    """The ranking in hand, best first; empty before the first."""
    next: str
    """The node that comes next, as "generator of path 0"; empty at the end."""
    next_node: str
    next_path: int | None
    settings: tuple[tuple[str, str], ...]
    """What rankings are made with: mode, shuffles, prompt order, regularisation."""
    split: Split = "validation"
    """Which of the user's tasks is shown: history, candidates, target and places are its own."""
    origin: str = ""
    """What the run had done that the session began with, in words; empty for a session of its
    own."""


@dataclass(frozen=True, slots=True)
class RevealView:
    """The true next item."""

    item: Item
    rank: int | None
    """In the ranking in hand; None before the first."""
    candidates: int
    split: Split = "validation"


@dataclass(frozen=True, slots=True)
class Writing:
    """How the demonstration of a turn came about."""

    changes: tuple[Change, ...]
    """From the path's demonstration before."""
    verdict: Verdict
    injected: str = ""
    """Text of another path's demonstration that was put into the generator's prompt (D_per)."""


@dataclass(frozen=True, slots=True)
class Score:
    """Where a demonstration puts the true next item."""

    effect: float
    """Effect_D, the mean over the session's tasks; 0 where the text could not be ranked with."""
    rank: int | None
    """Of the true next item in the latest task; None where the text could not be ranked with."""
    candidates: int
    places: tuple[Place, ...] = ()
    """The ranking, best first; empty where the step made none."""
    effects: tuple[float, ...] = ()
    """Effect_D of the path's rounds so far."""
    when_written: float | None = None
    """Effect_D under the settings of its round; None where that is `effect`."""


@dataclass(frozen=True, slots=True)
class GuardView:
    """What the collapse guard saw and decided."""

    judgements: tuple[Judgement, ...]
    similarities: tuple[tuple[float, ...], ...]
    """For each judgement, the path's cosines so far."""
    threshold: float
    """Cosine from which the guard calls two demonstrations copies."""


@dataclass(frozen=True, slots=True)
class StepView:
    """What one node did. Which parts are there depends on the node."""

    node: str
    path: int | None
    round: int
    text: str = ""
    """The demonstration at this step."""
    recalled: tuple[str, ...] = ()
    """Effective demonstrations that memory gave, best first."""
    writing: Writing | None = None
    """Of generator, recommender and evaluator."""
    score: Score | None = None
    """Of recommender, evaluator and choose."""
    guard: GuardView | None = None
    """Of the collapse guard."""
    stopped_by: str = ""
    """Why the run ended; of choose."""


@dataclass(frozen=True, slots=True)
class StepsView:
    """Several steps, in their order."""

    steps: tuple[StepView, ...]


@dataclass(frozen=True, slots=True)
class ComparisonView:
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
    changes: tuple[Change, ...] = ()
    """From the text before to the one after."""


@dataclass(frozen=True, slots=True)
class KeptView:
    """A demonstration that went to memory."""

    text: str
    author: Author
    effect: float
    id: str


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
    """What one word does, on a model whose weights are here (`lrgd.theory`).

    `effect` is in nats of the titles' likelihoods, `direct` in logits of the first token in which
    the two titles differ.
    """

    word: str
    effect: float
    """log p(item) - log p(rival) with the word, minus the same with the word masked everywhere."""
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
    split: Split = "validation"
    gap: float | None = None
    """log p(item) - log p(rival), to be explained; None in a mode without probabilities."""

    @property
    def left(self) -> float | None:
        """What of the gap the note as a whole and each bought thing alone do not carry."""
        shifts = [p.shift for p in self.parts if p.kind != "sentence" and p.shift is not None]
        return None if self.gap is None else self.gap - sum(shifts)


def node_words(node: str, path: int | None) -> str:
    """A node as a person reads it."""
    return f"{node} of path {path}" if path is not None else node
