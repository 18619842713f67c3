"""The values that flow between the nodes: items, tasks and rankings.

All are frozen: a node makes a new value, it never changes one that it was given.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from math import inf, isfinite
from operator import add, attrgetter
from statistics import fmean
from typing import Any, Literal

from lrgd.core.errors import RankingFailed
from lrgd.core.frozen import as_tuples

RankingMode = Literal["decision", "logprobs", "likelihood", "rerank", "listwise"]
"""How a model is asked for a ranking, see `lrgd.agents.ranking.modes`."""


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that can be recommended. Its title is unescaped, its whitespace folded.

    Example:
        >>> import lrgd
        >>> lrgd.Item("B01", "Super Mario Odyssey", brand="Nintendo").title
        'Super Mario Odyssey'
    """

    id: str
    title: str
    brand: str = ""
    categories: tuple[str, ...] = ()
    description: str = ""

    def __post_init__(self) -> None:
        as_tuples(self, "categories")


_ITEM_FIELDS = attrgetter(*(f.name for f in fields(Item)))


@dataclass(frozen=True, slots=True)
class Prior:
    """What is known of a task's candidates before a model is asked, see `lrgd.agents.prior`.

    Example:
        >>> import lrgd
        >>> lrgd.Prior({"2": 0.0, "3": 1.5}, model_weight=0.25).logits["3"]
        1.5
    """

    logits: Mapping[str, float]
    """Candidate id -> logit, any finite number; a candidate that is not there has 0."""
    model_weight: float = 1.0
    """What one standard deviation of the model's scores counts, in logits."""

    def __post_init__(self) -> None:
        wrong = [x for x in (*self.logits.values(), self.model_weight) if not isfinite(x)]
        if wrong:
            raise ValueError(f"a prior has finite logits and a finite model_weight, got {wrong[0]}")


@dataclass(frozen=True, slots=True)
class RankingTask:
    """One user's question: which of the candidates comes next?

    `history` runs from oldest to newest. `target_id` is the candidate that the user really chose,
    None where nobody knows yet; no prompt shows it. `prior` is what other evidence says of the
    candidates: it is added to what the model says.

    Example:
        >>> import lrgd
        >>> bought = (lrgd.Item("1", "Mario Kart 8"),)
        >>> shown = (lrgd.Item("2", "Wool Socks"), lrgd.Item("3", "Super Mario Odyssey"))
        >>> lrgd.RankingTask("ann", bought, shown, target_id="3").target.title
        'Super Mario Odyssey'
    """

    user_id: str
    history: tuple[Item, ...]
    candidates: tuple[Item, ...]
    target_id: str | None = None
    profile: str = ""
    prior: Prior | None = None

    def __post_init__(self) -> None:
        if isinstance(self.prior, Mapping):
            object.__setattr__(self, "prior", Prior(**self.prior))
        for name in ("history", "candidates"):
            items = (i if isinstance(i, Item) else Item(*i) for i in getattr(self, name))
            object.__setattr__(self, name, tuple(items))
        ids = [item.id for item in self.candidates]
        if len(set(ids)) != len(ids) or len(ids) < 2:
            raise ValueError(f"user {self.user_id!r}: candidates must be 2 or more distinct items")
        if self.target_id is not None and self.target_id not in ids:
            raise ValueError(f"user {self.user_id!r}: target {self.target_id!r} is no candidate")

    def _asdict(self) -> dict[str, Any]:
        """Plain values, for checkpoints: LangGraph asks for them by this name (a named tuple's),
        and need not then visit 70 items one by one each time that it writes a state."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        for name in ("history", "candidates"):
            values[name] = [_ITEM_FIELDS(item) for item in values[name]]
        values["prior"] = self.prior and asdict(self.prior)
        return values

    @property
    def target(self) -> Item | None:
        """The item that the user really chose, where it is known."""
        return next((item for item in self.candidates if item.id == self.target_id), None)


@dataclass(frozen=True, slots=True)
class Usage:
    """Calls and tokens, as the server counted them.

    Example:
        >>> import lrgd
        >>> both = lrgd.Usage(1, 100, 5) + lrgd.Usage(1, 80, 7)
        >>> both.calls, both.tokens
        (2, 192)
    """

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    unknown: int = 0
    """Calls whose tokens the server did not count: 0 in the other two."""

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(*map(add, self.counts, other.counts))

    @property
    def counts(self) -> tuple[int, ...]:
        """All of them, in order."""
        return self.calls, self.prompt_tokens, self.completion_tokens, self.unknown

    @property
    def tokens(self) -> int:
        """Prompt and completion together."""
        return self.prompt_tokens + self.completion_tokens

    def scaled(self, factor: float) -> "Usage":
        """Each count times a factor, rounded."""
        return Usage(*(round(count * factor) for count in self.counts))


NOTHING_PAID = Usage()


@dataclass(frozen=True, slots=True)
class RankingAudit:
    """What the model did with the list it was asked for, in items.

    Example:
        >>> import lrgd
        >>> audit = lrgd.RankingAudit(named=2, missing=1)
        >>> lrgd.Ranking(("2", "1", "3"), audit, usage=lrgd.Usage(calls=1)).audit.missing
        1
    """

    named: int
    """Candidates that the model named, each counted once."""
    duplicates: int = 0
    """Names that came a second time."""
    out_of_set: int = 0
    """Entries that name no candidate."""
    missing: int = 0
    """Candidates that it was asked for and did not name; they follow in candidate order."""
    truncated: bool = False
    """The answer ended because its token budget did."""
    position_sd: float | None = None
    """Standard deviation of an item's rank over the candidate orders that were asked, mean over
    the items; None where one order was."""
    share: float | None = None
    """Of the probability that a question's answer had, what its options had, mean over the
    questions; None where the mode does not tell."""
    failed: Mapping[str, int] = field(default_factory=dict)
    """Rankings that got no answer, by what came instead: refused, empty, cut_off, reasoning or
    error. They name nothing, and no order stands for them."""


def total(audits: Sequence[RankingAudit], position_sd: float | None = None) -> RankingAudit:
    """The audit of several rankings together: counts are sums."""
    shares = [a.share for a in audits if a.share is not None]
    return RankingAudit(
        named=sum(a.named for a in audits),
        duplicates=sum(a.duplicates for a in audits),
        out_of_set=sum(a.out_of_set for a in audits),
        missing=sum(a.missing for a in audits),
        truncated=any(a.truncated for a in audits),
        position_sd=position_sd,
        share=fmean(shares) if shares else None,
        failed=dict(sum((Counter(a.failed) for a in audits), Counter[str]())),
    )


def failure(failed: RankingFailed) -> RankingAudit:
    """The audit of a ranking that failed."""
    return RankingAudit(named=0, failed={failed.kind: 1})


@dataclass(frozen=True, slots=True)
class Ranking:
    """A permutation of the candidates' ids, best first, and how it came about.

    Example:
        >>> import lrgd
        >>> ranking = lrgd.Ranking(("3", "2"), lrgd.RankingAudit(named=2))
        >>> ranking.rank_of("2")
        2
    """

    order: tuple[str, ...]
    audit: RankingAudit
    probabilities: Mapping[str, float] = field(default_factory=dict)
    """Candidate id -> probability; empty where the mode gives none."""
    strict: tuple[str, ...] | None = None
    """What a written list says letter for letter: an id for each entry, "" for one that is no
    candidate's exact title. None in modes that write no list."""
    usage: Usage = field(default_factory=Usage)
    """What was paid for it."""

    def __post_init__(self) -> None:
        as_tuples(self, "order")
        if self.strict is not None:
            as_tuples(self, "strict")

    def rank_of(self, item_id: str) -> int:
        """The item's 1-based position. Raises ValueError for an item that was no candidate."""
        return self.order.index(item_id) + 1

    def strict_rank_of(self, item_id: str) -> int | None:
        """Its position in the list as written, letter for letter; None if it is not there."""
        if self.strict is None:
            return self.rank_of(item_id)
        return self.strict.index(item_id) + 1 if item_id in self.strict else None


def usage_of_all(rankings: Iterable[Ranking]) -> Usage:
    """What was paid for several rankings together."""
    return sum((ranking.usage for ranking in rankings), Usage())


def ranking_from(
    probabilities: Mapping[str, float], candidates: Sequence[Item], usage: Usage = NOTHING_PAID
) -> Ranking:
    """Candidates by falling probability, see `ranking_by`."""
    return ranking_by(probabilities, candidates, probabilities, usage)


def ranking_by(
    scores: Mapping[str, float],
    candidates: Sequence[Item],
    probabilities: Mapping[str, float],
    usage: Usage = NOTHING_PAID,
) -> Ranking:
    """Candidates by falling score, any finite number; equal ones keep the candidate order, and
    candidates without a score follow in it."""
    ids = [c.id for c in candidates]
    order = sorted(ids, key=lambda item_id: -scores.get(item_id, -inf))
    named = sum(item_id in scores for item_id in ids)
    audit = RankingAudit(named=named, missing=len(ids) - named)
    return Ranking(tuple(order), audit, probabilities, usage=usage)
