"""A prompt changed in place and sent again: the generator's, whose text is then ranked, or the
recommender's, which ranks the text in hand. What was changed stays with the ranking that came."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, fields, replace

from lrgd.agents.generator import Generator
from lrgd.agents.prompts import RankingContext
from lrgd.agents.recommender import ranking_of
from lrgd.agents.values import Usage, usage_of_all
from lrgd.core.errors import InputError
from lrgd.debug.equipment import Equipment, ranked
from lrgd.debug.experiments import usable
from lrgd.debug.prompts import Call, turn_shown
from lrgd.debug.state import Ranked, SessionState, settings_of, split_of, tasks_on, turn_state


@dataclass(frozen=True, slots=True)
class Edit:
    """Words of a prompt, and what stands in their place."""

    call: Call
    path: int | None
    """Whose generator; None for the path whose turn was the latest."""
    old: str
    new: str

    @property
    def words(self) -> str:
        """What was changed, for a reader."""
        return f'"{self.old}" => "{self.new}"'

    @property
    def line(self) -> str:
        """The command that does it."""
        path = "" if self.path is None else f" {self.path}"
        return f"/edit {self.call}{path} {self.words}"

    def applied_to(self, text: str) -> str:
        """The text with the words replaced, wherever they stand."""
        return text.replace(self.old, self.new)


async def sent_again(
    equipment: Equipment, state: SessionState, hand: Ranked, edit: Edit
) -> tuple[Ranked, Usage]:
    """What comes of the changed prompt, and what it cost.

    Args:
        hand: what the recommender ranks again; the generator does not need it.

    Raises:
        InputError: the prompt has no such words, or the model wrote nothing usable.
    """
    if edit.call == "generator":
        return await _written(equipment, state, edit)
    return await _ranked(equipment, state, hand, edit)


async def _written(equipment: Equipment, state: SessionState, edit: Edit) -> tuple[Ranked, Usage]:
    turn, s = turn_shown(state, edit.path), settings_of(state)
    nodes = equipment.path_nodes(state)
    asked = turn_state({"remembered": [], **state}, turn)
    plain = s.generation_messages(nodes.task_shown(asked), nodes.told(asked))
    edited = [{**m, "content": edit.applied_to(m["content"])} for m in plain]
    if edited == plain:
        raise InputError(f"the generator's prompt has no {edit.old!r}: /prompt generator shows it")
    nodes = replace(nodes, generator=Generator(equipment.model, lambda task, told: edited))
    written = await nodes.generate(asked)
    draft = usable(written["turn"]["draft"])
    hand, used = await equipment.rank(state, draft.text, "edited", turn.path.index)
    return replace(hand, round=turn.round, edit=edit.words), used + written["usage"]


async def _ranked(
    equipment: Equipment, state: SessionState, hand: Ranked, edit: Edit
) -> tuple[Ranked, Usage]:
    s, ranker = settings_of(state), equipment.ranker_of(state["choices"])
    tasks = tasks_on(state, split_of(state))
    plain = [s.ranking_context(task, hand.text) for task in tasks]
    edited = [_context(context, edit.applied_to) for context in plain]
    if edited == plain:
        raise InputError(
            f"instruction, history and note have no {edit.old!r}: /prompt shows them; question and "
            "candidates are the ranking mode's own"
        )
    pairs = zip(edited, tasks, strict=True)
    rankings = await asyncio.gather(*(ranking_of(ranker, c, task) for c, task in pairs))
    again = ranked(state, hand.text, hand.author, hand.path, rankings)
    again = replace(again, round=hand.round, perturbed_by=hand.perturbed_by, edit=edit.words)
    return again, usage_of_all(rankings)


def _context(context: RankingContext, change: Callable[[str], str]) -> RankingContext:
    """With the words replaced in all that is read of the task, and of nobody."""
    return RankingContext(*(change(getattr(context, part.name)) for part in fields(context)))
