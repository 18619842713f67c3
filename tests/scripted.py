"""Small real objects for the tests: a chat model and a ranker that follow a script."""

import hashlib
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from numpy.typing import NDArray
from pydantic import PrivateAttr

from lrgd.agents.prompts import RankingContext
from lrgd.agents.values import Item, Ranking, RankingTask, Usage, ranking_from

CONTEXT = RankingContext("STATE", "NOTHING")


class ScriptedChat(BaseChatModel):
    """Gives its replies in turn, records what it was asked, complains when they run out.

    A reply that is an exception is raised.
    """

    replies: list[Any]
    _asked: list[str] = PrivateAttr(default_factory=list)

    @property
    def asked(self) -> list[str]:
        """The text of each prompt so far."""
        return self._asked

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        self._asked.append("\n".join(str(m.text) for m in messages))
        assert self.replies, f"no reply left for prompt {len(self._asked)}"
        reply = self.replies.pop(0)
        if isinstance(reply, BaseException):
            raise reply
        return ChatResult(generations=[ChatGeneration(message=AIMessage(content=reply))])


class WordRanker:
    """Ranks by words shared with the demonstration line of the prompt; real, if simple."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def rank(self, context: RankingContext, candidates: Sequence[Item]) -> Ranking:
        self.asked.append(context.text)
        note = next((x for x in context.text.splitlines() if x.startswith("Note on")), "")
        words = set(re.findall(r"\w+", note.lower()))
        scores = {c.id: 1.0 + len(words & set(c.title.lower().split())) for c in candidates}
        total = sum(scores.values())
        shares = {item_id: score / total for item_id, score in scores.items()}
        return ranking_from(shares, candidates, Usage(1, 10, 0))


def hashed_words(texts: Sequence[str]) -> NDArray[np.float32]:
    """A bag-of-words embedding: unit rows, equal texts get cosine 1, disjoint ones about 0."""
    rows = np.zeros((len(texts), 256), dtype=np.float32)
    for row, text in zip(rows, texts, strict=True):
        for word in re.findall(r"\w+", text.lower()):
            row[int.from_bytes(hashlib.sha256(word.encode()).digest()[:2]) % 256] += 1
        row[0] += 1e-6
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def task(
    titles: Sequence[str] = ("red kite", "blue boat", "green train", "old lamp"),
    target: int = 1,
    user: str = "u1",
) -> RankingTask:
    """A small task: the user bought two things, one of `titles` came next."""
    history = (Item("h1", "wooden puzzle"), Item("h2", "paper kite"))
    candidates = tuple(Item(f"c{i}", t) for i, t in enumerate(titles))
    return RankingTask(user, history, candidates, f"c{target}")
