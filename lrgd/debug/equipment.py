"""What a session works with: model, ranker, memory, and the model's weights where they are here.

A session asks an `EquipmentSource` for it when a command first needs it, so that looking at a
case starts no model.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from langchain_core.language_models import BaseChatModel

from lrgd.agents.evaluator import mean_effect, ranks_of
from lrgd.agents.generator import Generator, judge
from lrgd.agents.recommender import CustomRanker, Ranker, ShuffledRanker, ranking_of
from lrgd.agents.values import Ranking, RankingMode, RankingTask, Usage, usage_of_all
from lrgd.core.errors import InputError
from lrgd.debug.settings import as_mode
from lrgd.debug.state import (
    Author,
    Choices,
    Ranked,
    SessionState,
    Turn,
    settings_of,
    split_of,
    tasks_on,
)
from lrgd.debug.views import WordShift
from lrgd.graphs.optimization import LoopNodes
from lrgd.graphs.path import PathNodes
from lrgd.graphs.settings import LoopSettings
from lrgd.memory import Demonstration, DemonstrationMemory

if TYPE_CHECKING:
    from lrgd.explain.model import LocalModel

CountTokens = Callable[[str], int]
Attribution = Callable[[RankingTask, Ranked, str, str, LoopSettings], Sequence[WordShift]]
"""Task, what is ranked with, ids of item and rival, settings -> what each word does."""


class EquipmentSource(Protocol):
    """Where a session gets its equipment; `Equipment` that is open already is one itself."""

    async def choices(self) -> Choices:
        """How a session that begins ranks; starts nothing.

        Raises:
            EndpointError: the mode is the server's to say, and it is not there.
        """
        ...

    async def open(self) -> "Equipment":
        """The equipment, opened at the first call.

        Raises:
            EndpointError: no server there, or not that model, or it cannot rank in that mode.
        """
        ...


@dataclass(frozen=True)
class Equipment:
    """What a session works with. All of it is opened, and closed, by somebody else."""

    model: BaseChatModel
    ranker: CustomRanker
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

    async def choices(self) -> Choices:
        """See `EquipmentSource`."""
        return {"mode": self.mode, "shuffles": self.shuffles}

    async def open(self) -> "Equipment":
        """See `EquipmentSource`."""
        return self

    def ranker_of(self, choices: Choices) -> CustomRanker:
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
        generator = Generator(self.model, s.generation_messages)
        return PathNodes(generator, self.ranker_of(state["choices"]), s)

    def loop_nodes(self, state: SessionState) -> LoopNodes:
        """The loop's actors under the settings of this state."""
        return LoopNodes(self.ranker_of(state["choices"]), self.memory, settings_of(state))

    async def rank(
        self, state: SessionState, text: str, author: Author, path: int | None = None
    ) -> tuple[Ranked, Usage]:
        """Rank the task that is looked at with a text, or each of several, under the settings of
        this state."""
        tasks = tasks_on(state, split_of(state))
        rankings = await asyncio.gather(*(self.rank_task(state, task, text) for task in tasks))
        return ranked(state, text, author, path, rankings), usage_of_all(rankings)

    async def rank_task(self, state: SessionState, task: RankingTask, text: str) -> Ranking:
        """Rank one task with a text; an empty one is the zero-shot prompt."""
        context = settings_of(state).ranking_context(task, text)
        return await ranking_of(self.ranker_of(state["choices"]), context, task)

    async def in_hand(self, state: SessionState) -> tuple[Ranked, Usage]:
        """What was ranked last; before anything was, what the run had come to, or else the ranking
        without a demonstration. And what that cost."""
        if hand := state.get("in_hand"):
            return hand, Usage()
        if (last := _reached(state)) is None:
            return await self.rank(state, "", "nobody")
        hand, used = await self.rank(state, last.text, "path", last.path)
        return replace(hand, round=last.round, perturbed_by=last.perturbed_by), used

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
    """A text with the rankings that it gave, one for each task that is looked at."""
    split = split_of(state)
    tasks = tasks_on(state, split)
    ranks = ranks_of(rankings, tasks)
    targets = [task.target for task in tasks if task.target]
    verdict = judge(text, targets) if text else "usable"
    return Ranked(
        text=text,
        author=author,
        path=path,
        round=state.get("round", 0) + 1,
        ranking=rankings[0],
        effect=mean_effect(ranks),
        rank=ranks[0],
        ranks=ranks,
        verdict=verdict,
        split=split,
    )


def ranked_turn(state: SessionState, turn: Turn) -> Ranked:
    """What a turn wrote, with the rankings that it gave."""
    assert turn.draft is not None
    assert turn.rankings
    return ranked(state, turn.draft.text, "path", turn.path.index, turn.rankings)


def _reached(state: SessionState) -> Demonstration | None:
    """What was chosen, or else the latest usable demonstration, of a run that kept no rankings."""
    if chosen := state.get("chosen"):
        return chosen
    written = [d for path in state.get("paths", {}).values() for d in path.demonstrations]
    return max(written, key=lambda d: (d.round, d.path), default=None)


class LocalWeights:
    """A model's weights, for token counts and for what each word of a demonstration does.

    They are loaded when they are first asked for: most sessions never do.
    """

    def __init__(self, model: str) -> None:
        """A name of the catalogue, a folder, or a name on the model hub."""
        self._given = model

    @cached_property
    def _model(self) -> "LocalModel":
        from lrgd.explain.model import load_local

        return load_local(self._given)

    def count_tokens(self, text: str) -> int:
        """Tokens of a text, without the chat template around it."""
        return len(self._model.tokenizer.encode(text, add_special_tokens=False))

    def attribution(
        self, task: RankingTask, hand: Ranked, item: str, rival: str, settings: LoopSettings
    ) -> list[WordShift]:
        """What each word does for the item against the rival.

        A word effect is that of the title's likelihood, whatever the run's ranking mode.

        Raises:
            InputError: no such model, or the prompt does not fit it.
        """
        from lrgd.explain.explanation import word_effects
        from lrgd.explain.model import ranking_prompt
        from lrgd.theory import read_prompt

        prompt = ranking_prompt(self._model, task, hand.text, settings.prompts)
        state = read_prompt(self._model.decoder, prompt.partition.ids)
        effects = word_effects(state, prompt, item, rival)
        return [WordShift(w.word, w.effect, w.centred) for w in effects.words]
