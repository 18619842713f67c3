"""Generator: writes a demonstration from a user's behaviour and earlier demonstrations.

Stage 1 of LRGD (arXiv 2504.04386). It never sees the target, only how high the target was ranked
with its earlier demonstrations; a text that contains the target's title all the same is refused.
So are answers that are none: nothing but reasoning, a refusal, a sentence without its end.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage

from lrgd.agents.endpoint.client import Usage, translated_errors, usage_of
from lrgd.agents.endpoint.reasoning import separated
from lrgd.agents.prompts import REGULARISATION, Attempt, PromptOrder, generation_messages, plain
from lrgd.agents.values import Item, RankingTask

Verdict = Literal["usable", "empty", "cut_off", "refused", "names_target"]
"""empty: it says nothing. cut_off: the token budget ended it before its first sentence did.
refused: the model or a filter refused. names_target: it holds the title of the true next item."""

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


@dataclass(frozen=True, slots=True)
class Generator:
    """Asks a chat model for demonstrations.

    `max_chars` cuts a model that does not stop, at a sentence's end. `name` says in errors which
    endpoint it was.
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
        hidden = [*targets, *([task.target] if task.target else [])]
        return Draft(*self._read(answer, hidden), usage_of(answer))

    def _read(self, answer: AIMessage, hidden: Sequence[Item]) -> tuple[str, Verdict]:
        reason = answer.response_metadata.get("finish_reason")
        # Again, since any chat model may be passed in, and a stream tells reasoning late.
        note = bare(separated(str(answer.text)).text)
        text = plain(note)[: self.max_chars]
        if reason in ("refusal", "content_filter"):
            return text, "refused"
        if reason == "length" or len(note) > self.max_chars:
            whole = plain(bare(whole_sentences(note[: self.max_chars])))
            return (whole, judge(whole, hidden)) if whole else (text, "cut_off")
        return text, judge(text, hidden)


def bare(text: str) -> str:
    """A note without the quotes around it and the label before it ("Here is a note:")."""
    return _unquoted(_LABEL.sub("", _unquoted(text.strip()), count=1))


def whole_sentences(text: str) -> str:
    """A text that was cut off, up to the end of its last whole sentence; "" if it has none."""
    ends = [end.end() for end in _SENTENCE_END.finditer(text)]
    return text[: ends[-1]].strip() if ends else ""


def judge(text: str, targets: Sequence[Item]) -> Verdict:
    """Whether a demonstration can be used: it says something, and not the answer.

    A title of signs only ("...", a heart) is never named: texts are compared by words.
    """
    words = _words(text)
    if not words.strip():
        return "empty"
    titles = [_words(target.title) for target in targets]
    if any(title.strip() and title in words for title in titles):
        return "names_target"
    return "usable"


def _unquoted(text: str) -> str:
    for opening, closing in _QUOTES:
        inside = text.removeprefix(opening).removesuffix(closing)
        if text.startswith(opening) and opening not in inside and closing not in inside:
            return inside.strip()
    return text


def _words(text: str) -> str:
    # Whole words between spaces: "Halo 3" is not in "Halo 3000", nor "Ico" in "icon".
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(["", *re.findall(r"\w+", folded), ""])
