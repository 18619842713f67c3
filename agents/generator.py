"""Generator: writes a demonstration from a user's behaviour and earlier demonstrations.

Stage 1 of LRGD (arXiv 2504.04386). It never sees the target, only how high the target was ranked
with its earlier demonstrations; a text that contains the target's title all the same is refused.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from langchain_core.language_models import BaseChatModel

from agents.endpoint import Usage, translated_errors, usage_of
from agents.prompts import REGULARISATION, Attempt, PromptOrder, generation_messages, plain
from agents.values import Item, RankingTask

Verdict = Literal["usable", "empty", "names_target"]


@dataclass(frozen=True, slots=True)
class Draft:
    """What the generator wrote, and whether it can be used."""

    text: str
    verdict: Verdict
    usage: Usage


@dataclass(frozen=True, slots=True)
class Generator:
    """Asks a chat model for demonstrations.

    `max_chars` cuts a model that does not stop. `name` says in errors which endpoint it was.
    """

    model: BaseChatModel
    regularisation: str = REGULARISATION
    order: PromptOrder = "instruction_first"
    max_chars: int = 1_000
    name: str = "the chat model"

    async def write(
        self,
        task: RankingTask,
        *,
        seed: int,
        last: Attempt | None = None,
        effective: Sequence[Attempt] = (),
        perturbation: str | None = None,
        targets: Sequence[Item] = (),
    ) -> Draft:
        """Write one demonstration. See `generation_messages` for what the model is shown.

        Args:
            targets: items that it must not name, beside the task's own target.
            seed: the server's sampling seed, so that a run can be repeated where it is honoured.

        Raises:
            EndpointError: the server refused; EndpointUnavailable: it gave no answer.
        """
        messages = generation_messages(
            task,
            last=last,
            effective=effective,
            perturbation=perturbation,
            regularisation=self.regularisation,
            order=self.order,
        )
        with translated_errors(self.name):
            answer = await self.model.ainvoke(messages, seed=seed)
        text = plain(str(answer.text))[: self.max_chars]
        hidden = [*targets, *([task.target] if task.target else [])]
        return Draft(text, judge(text, hidden), usage_of(answer))


def judge(text: str, targets: Sequence[Item]) -> Verdict:
    """Whether a demonstration can be used: it says something, and not the answer."""
    words = _words(text)
    if not words.strip():
        return "empty"
    if any(_words(target.title) in words for target in targets):
        return "names_target"
    return "usable"


def _words(text: str) -> str:
    # Whole words between spaces: "Halo 3" is not in "Halo 3000", nor "Ico" in "icon".
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(["", *re.findall(r"\w+", folded), ""])
