"""Generator: writes a demonstration from a user's behaviour and earlier demonstrations.

Stage 1 of LRGD (arXiv 2504.04386). It never sees the target, only how high the target was ranked
with its earlier demonstrations; a text that contains the target's title all the same is refused.
So are answers that are none: nothing but reasoning, a refusal, a sentence without its end.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage

from lrgd.agents.endpoint.client import translated_errors, usage_of
from lrgd.agents.endpoint.replies import Kind, message_reply
from lrgd.agents.prompts import LRGD_PROMPTS, Told, sanitized
from lrgd.agents.values import Item, RankingTask, Usage

Verdict = Literal["usable", "empty", "cut_off", "refused", "reasoning", "names_target", "unranked"]
"""empty: it says nothing. cut_off: the token budget ended it before its first sentence did.
refused: the model or a filter refused. reasoning: it thought, and answered nothing. names_target:
it holds the title of the true next item. unranked: usable, but its ranking failed."""

NOTE_TOKENS = 64
"""Bound on one demonstration."""

_NO_ANSWER: dict[Kind, Verdict] = {
    "error": "empty",
    "empty": "empty",
    "refused": "refused",
    "reasoning": "reasoning",
    "cut_off": "cut_off",
}

_LABEL = re.compile(
    r"""\A[\s*_#>]*(?:[^\n:]{0,40}\bnote\b(?:\s(?:on|about|for)\b[^\n:]{0,40})?   # Note on Ann:
    |(?:sure\W+)?here(?:['’]s|\sis|\sare)\b[^\n:]{0,40})\s*:[\s*_]*         # Here it is:""",
    re.IGNORECASE | re.VERBOSE,
)
_QUOTES = (('"', '"'), ("“", "”"), ("«", "»"))
# A sentence's or a line's end; "3." at a line's beginning numbers it.
_SENTENCE_END = re.compile(
    r"""(?<!^\d)(?<!^\d\d)[.!?…]["'”’»)*]*(?=\s|\Z)|[。\uff01\uff1f]|(?<=[^\s:])(?=\s*\n)""",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Draft:
    """What the generator wrote, and whether it can be used."""

    text: str
    verdict: Verdict
    usage: Usage


Messages = Callable[[RankingTask, Told], list[dict[str, str]]]
"""A task, and what is told beside it -> a chat."""


@dataclass(frozen=True, slots=True)
class Generator:
    """Asks a chat model for demonstrations.

    `messages` writes the prompt. `max_chars` cuts a model that does not stop, at a sentence's end.
    `name` says in errors which endpoint it was.
    """

    model: BaseChatModel
    messages: Messages = LRGD_PROMPTS.generation_messages
    max_chars: int = 1_000
    name: str = "the chat model"

    async def write(
        self,
        task: RankingTask,
        *,
        seed: int,
        told: Told | None = None,
        targets: Sequence[Item] = (),
    ) -> Draft:
        """Write one demonstration.

        Args:
            told: what the model is shown beside the task, see `PromptSettings.generation_messages`.
            targets: items that it must not name, beside the task's own target.
            seed: the server's sampling seed, so that a run can be repeated where it is honoured.

        Raises:
            EndpointError: the server refused; EndpointUnavailable: it gave no answer.
        """
        messages = self.messages(task, told or {})
        with translated_errors(self.name):
            answer = await self.model.ainvoke(messages, seed=seed)
        hidden = [*targets, *([task.target] if task.target else [])]
        return Draft(*self._read(answer, hidden), usage_of(answer))

    def _read(self, answer: AIMessage, hidden: Sequence[Item]) -> tuple[str, Verdict]:
        reply = message_reply(answer)
        note = bare(reply.text)
        text = sanitized(note)[: self.max_chars]
        if reply.kind != "answer":
            return text, _NO_ANSWER[reply.kind]
        if reply.truncated or len(note) > self.max_chars:
            whole = sanitized(bare(whole_sentences(note[: self.max_chars])))
            return (whole, judge(whole, hidden)) if whole else (text, "cut_off")
        # A title that begins as a label does ("Note for ...: ") would be cut in the text.
        verdict, of_whole = judge(text, hidden), judge(reply.text, hidden)
        return text, of_whole if verdict == "usable" and of_whole == "names_target" else verdict


def bare(text: str) -> str:
    """A note without the quotes around it and the label before it ("Here is a note:")."""
    return _unquoted(_LABEL.sub("", _unquoted(text.strip()), count=1))


def whole_sentences(text: str) -> str:
    """A text that was cut off, up to the end of its last whole sentence; "" if it has none."""
    ends = [end.end() for end in _SENTENCE_END.finditer(text)]
    return text[: ends[-1]].strip() if ends else ""


def judge(text: str, targets: Sequence[Item]) -> Verdict:
    """Whether a demonstration can be used: it says something, and not the answer.

    A title of signs only ("...", a heart, a trade mark) is never named: texts are compared by
    words.
    """
    said = _folded_words(text)
    if not said.strip():
        return "empty"
    shown = [sanitized(target.title) for target in targets]
    titles = [_folded_words(title) for title in shown if _has_words(title)]
    if any(title in said for title in titles):
        return "names_target"
    return "usable"


def _unquoted(text: str) -> str:
    for opening, closing in _QUOTES:
        inside = text.removeprefix(opening).removesuffix(closing)
        if text.startswith(opening) and opening not in inside and closing not in inside:
            return inside.strip()
    return text


def _has_words(title: str) -> bool:
    # Before folding, which makes "TM" of the sign for it.
    return any(map(str.isalnum, title))


def _folded_words(text: str) -> str:
    # Whole words between spaces: "Halo 3" is not in "Halo 3000", nor "Ico" in "icon".
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(["", *re.findall(r"\w+", folded), ""])
