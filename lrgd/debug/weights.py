"""Weights beside a session: token counts, and what each word of a demonstration does (theory/).

Loaded when they are first asked for: most sessions never do.
"""

from functools import cached_property
from typing import TYPE_CHECKING

from lrgd.agents.values import RankingTask
from lrgd.debug.views import Ranked, WordShift
from lrgd.graphs.settings import LoopSettings

if TYPE_CHECKING:
    from lrgd.explain.model import LocalModel


class LocalWeights:
    """The session's model, or token counts and words are of another."""

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

        prompt = ranking_prompt(
            self._model,
            task,
            hand.text,
            regularisation=settings.regularisation,
            order=settings.prompt_order,
        )
        state = read_prompt(self._model.decoder, prompt.partition.ids)
        found = word_effects(state, prompt, item, rival)
        return [WordShift(w.word, w.effect, w.centred) for w in found.words]
