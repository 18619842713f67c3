"""Ranks with a session's settings of the moment, and shows rankings as views."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast, get_args

from langchain_core.language_models import BaseChatModel

from lrgd.agents.endpoint.client import Usage
from lrgd.agents.evaluator import effect
from lrgd.agents.generator import Generator, judge
from lrgd.agents.ranking.modes import RankingMode
from lrgd.agents.recommender import Ranker, ShuffledRanker
from lrgd.agents.values import Item, Ranking, RankingTask
from lrgd.core.errors import InputError
from lrgd.debug.state import Choices, SessionState, settings_of
from lrgd.debug.views import Author, Move, Place, Ranked, WordShift
from lrgd.graphs.optimization import LoopNodes, tasks_of
from lrgd.graphs.path import PathNodes, mean_effect
from lrgd.graphs.settings import LoopSettings
from lrgd.memory import DemonstrationMemory

CountTokens = Callable[[str], int]
Attribution = Callable[[RankingTask, Ranked, str, str, LoopSettings], Sequence[WordShift]]
"""Task, what is ranked with, ids of item and rival, settings -> what each word does."""


@dataclass(frozen=True)
class Tools:
    """What a session works with. All of it is opened, and closed, by somebody else."""

    model: BaseChatModel
    ranker: Ranker
    memory: DemonstrationMemory
    mode: RankingMode = "decision"
    """How `ranker` asks."""
    shuffles: int = 1
    """Candidate orders that `ranker` averages over."""
    rankers: Callable[[RankingMode], Ranker] | None = None
    """A ranker for each mode, for /mode; None where only `ranker` is there."""
    count_tokens: CountTokens | None = None
    attribution: Attribution | None = None
    """Where the model's weights are here."""

    def ranker_of(self, choices: Choices) -> Ranker:
        """The ranker of this mode, over this many candidate orders.

        Raises:
            InputError: no rankers of other modes here; EndpointError: the model cannot do it.
        """
        ranker, mode, shuffles = self.ranker, as_mode(choices["mode"]), choices["shuffles"]
        if mode != self.mode:
            if self.rankers is None:
                raise InputError(f"this session was opened with the mode {self.mode} only")
            ranker = self.rankers(mode)
        inner = ranker.ranker if isinstance(ranker, ShuffledRanker) else ranker
        return ShuffledRanker(inner, shuffles) if shuffles > 1 else inner

    def path_nodes(self, state: SessionState) -> PathNodes:
        """A path's actors under the settings of this state."""
        s = settings_of(state)
        generator = Generator(self.model, s.regularisation, s.prompt_order)
        return PathNodes(generator, self.ranker_of(state["choices"]), s)

    def loop_nodes(self, state: SessionState) -> LoopNodes:
        """The loop's actors under the settings of this state."""
        return LoopNodes(self.ranker_of(state["choices"]), self.memory, settings_of(state))

    async def rank(
        self, state: SessionState, text: str, author: Author, path: int | None = None
    ) -> tuple[Ranked, Usage]:
        """Rank every task of the session with a text, under the settings of this state."""
        tasks = tasks_of(state)
        answers = await asyncio.gather(*(self.rank_task(state, task, text) for task in tasks))
        usage = sum((used for _, used in answers), Usage())
        rankings = [ranking for ranking, _ in answers]
        found = ranked(state, text, author, path, rankings)
        return found, usage

    async def rank_task(
        self, state: SessionState, task: RankingTask, text: str
    ) -> tuple[Ranking, Usage]:
        """Rank one task with a text; an empty one is the zero-shot prompt."""
        context = settings_of(state).ranking_context(task, text)
        return await self.ranker_of(state["choices"]).rank(context, task.candidates)

    async def in_hand(self, state: SessionState) -> tuple[Ranked, Usage]:
        """What was ranked last; before anything was, the ranking without a demonstration."""
        if hand := state.get("in_hand"):
            return hand, Usage()
        return await self.rank(state, "", "nobody")

    def similarity(self, a: str, b: str) -> float:
        """Cosine of two texts; 1 for equal ones."""
        if a == b:
            return 1.0
        if not a or not b:
            return 0.0
        rows = self.memory.embed([a, b])
        return float(rows[0] @ rows[1])


def ranked(
    state: SessionState,
    text: str,
    author: Author,
    path: int | None,
    rankings: Sequence[Ranking],
) -> Ranked:
    """A text with the rankings that it gave, one a task of the session."""
    tasks = tasks_of(state)
    target = str(tasks[0].target_id)
    targets = [task.target for task in tasks if task.target]
    verdict = judge(text, targets) if text else "usable"
    return Ranked(
        text=text,
        author=author,
        path=path,
        round=state.get("round", 0) + 1,
        ranking=rankings[0],
        effect=mean_effect(rankings, tasks),
        rank=rankings[0].rank_of(target),
        verdict=verdict,
    )


def places_of(state: SessionState, ranking: Ranking) -> tuple[Place, ...]:
    """A ranking with titles, best first; the true next item is marked once it is revealed."""
    task = state["task"]
    items = {item.id: item for item in task.candidates}
    shown = task.target_id if state.get("revealed") else None
    return tuple(
        Place(rank, i, items[i].title, ranking.probabilities.get(i), i == shown)
        for rank, i in enumerate(ranking.order, 1)
    )


def moves_between(state: SessionState, before: Ranking, after: Ranking) -> tuple[Move, ...]:
    """The items whose rank changed. What changed most first, by the discount of nDCG: from 3 to 1
    is more than from 40 to 20."""
    places = places_of(state, after)
    moves = [
        Move(p.item_id, p.title, before.rank_of(p.item_id), p.rank, p.is_target) for p in places
    ]
    return tuple(sorted((m for m in moves if m.gain), key=lambda m: (-_weight(m), m.after)))


def _weight(move: Move) -> float:
    return abs(effect(move.before) - effect(move.after))


def with_settings(state: SessionState, **changed: Any) -> SessionState:
    """The state under other loop settings.

    Raises:
        ValidationError: a setting has no such value (pydantic's).
    """
    settings = settings_of(state).model_dump() | changed
    return {**state, "settings": settings}


def with_choices(state: SessionState, **changed: Any) -> SessionState:
    """The state with rankings made in another way."""
    return {**state, "choices": {**state["choices"], **changed}}  # type: ignore[typeddict-item]


def as_mode(mode: str) -> RankingMode:
    """Raises InputError where it is no ranking mode."""
    for known in get_args(RankingMode):
        if mode == known:
            return cast(RankingMode, known)
    raise InputError(f"no ranking mode {mode!r}; there are {', '.join(get_args(RankingMode))}")


def find_item(task: RankingTask, wanted: str) -> Item:
    """A candidate by its id, its title, or a part of its title that no other has.

    Raises:
        InputError: there is none, or there are several; names some.
    """
    wanted = " ".join(wanted.split())
    by_id = [item for item in task.candidates if item.id == wanted]
    exact = by_id or [item for item in task.candidates if item.title == wanted]
    if len(exact) == 1:
        return exact[0]
    found = [i for i in task.candidates if wanted and wanted.casefold() in i.title.casefold()]
    if len(found) == 1:
        return found[0]
    some = ", ".join(f"{i.title} ({i.id})" for i in (found or task.candidates)[:3])
    if found:
        raise InputError(f"{len(found)} candidates have {wanted!r} in their title: {some}, ...")
    raise InputError(f"no candidate {wanted!r}; give an id or a part of a title, as in {some}")


def without_item(task: RankingTask, position: int) -> RankingTask:
    """The task with one item of the history left out."""
    kept = tuple(item for n, item in enumerate(task.history) if n != position)
    return replace(task, history=kept)
