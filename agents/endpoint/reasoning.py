"""Reasoning: keeps what a model says to itself apart from its answer.

Servers that know a model put its thoughts beside the answer (`reasoning_content`, `reasoning`, a
part of another type). Others leave them in the text: between tags (Qwen3, DeepSeek-R1, Magistral,
Gemma 4), before an end tag alone where the chat template opened the thoughts, or in channels
(gpt-oss's harmony format, also with its control tokens taken out).

The answer is what follows the last end of thoughts, up to the next beginning. So text before an
end is never an answer, and an answer cut off in mid-thought is none.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Thinking = Literal["none", "turned off", "always on"]
"""How a model thinks: not that we know, not since its chat template is asked not to, or always."""

CHAT_OPTIONS: Mapping[Thinking, dict[str, Any]] = {
    "none": {},
    "turned off": {"chat_template_kwargs": {"enable_thinking": False}},
    "always on": {},
}
"""What goes into a chat completion's request beside the question."""

LONGEST_END = 64
"""Characters of the longest end of thoughts."""

_NAMES = r"(?i:think|thinking|thoughts?|reasoning|seed:think)"
_BEGIN = (
    rf"<{_NAMES}\s*>|\[THINK\]|<\|begin_of_thought\|>"
    r"|<\|channel\|?>(?:thought\b|(?!final)[^<]{0,32}<\|message\|>)?"
    r"|<\|start\|>(?:assistant)?|<\|(?:end|return|call)\|>"
)
_END = (
    rf"</{_NAMES}\s*>|\[/THINK\]|<\|end_of_thought\|>|<channel\|>"
    r"|<\|channel\|>final[^<]{0,32}<\|message\|>|assistantfinal"
)
# Without its control tokens, gpt-oss's text reads "analysisWe need ... assistantfinalThe answer".
_BEGINNING = re.compile(rf"{_BEGIN}|\A\s*analysis(?=[A-Z])")
_ENDING = re.compile(_END)
_EITHER = re.compile(rf"(?P<end>{_END})|{_BEGIN}")
_UNFINISHED = re.compile(r"(?:<[|/]?[\w:|]*|\[/?T?H?I?N?K?)\Z")
_RETRACTION = "</think>"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said to us, and how much to itself."""

    text: str
    reasoning_chars: int = 0


def separated(text: str, *, opened: bool = False) -> Answer:
    """The answer in a text, without the reasoning.

    Args:
        opened: the text is known to begin in mid-thought: without an end there is no answer.
    """
    ends = [end.end() for end in _ENDING.finditer(text)]
    start = ends[-1] if ends else len(text) if opened else 0
    begin = _BEGINNING.search(text, start)
    stop = begin.start() if begin else len(text)
    thoughts = _EITHER.sub("", f"{text[:start]}{text[stop:]}").strip()
    return Answer(text[start:stop].strip(), len(thoughts))


def said(message: Mapping[str, Any]) -> tuple[str, str]:
    """Text and reasoning of a chat completion's message, or of a stream's delta, as the server
    tells them apart.

    Raises:
        ValueError: its content is neither text nor parts.
    """
    content = message.get("content") or ""
    beside = next((message[k] for k in ("reasoning_content", "reasoning") if message.get(k)), "")
    parts = content if isinstance(content, list) else [content]
    answers = [_flat(part) for part in parts if _is_answer(part)]
    thoughts = [_flat(part) for part in parts if not _is_answer(part)]
    return "".join(answers), "".join([_flat(beside), *thoughts])


class AnswerStream:
    """Lets an answer's pieces through as they come, and holds reasoning back.

    Where text was let through that turns out to be reasoning (an end tag alone comes later), an
    end tag follows it: `separated` of all pieces together is the answer in any case.
    """

    def __init__(self, thinking: Thinking = "none") -> None:
        # A model that always thinks may begin in mid-thought: all waits for an end.
        self._opened = self._inside = thinking == "always on"
        self._text, self._beside = "", 0
        self._at = 0
        """Up to here the text was let through or kept back."""
        self._shown = False

    def feed(self, text: str, reasoning: str = "") -> str:
        """What can be shown now that this came."""
        self._text += text
        self._beside += len(reasoning)
        if reasoning and self._opened:  # the server tells it apart: the text is the answer
            self._opened = self._inside = False
        return "".join(self._passed(len(text)))

    def close(self, *, cut_off: bool) -> tuple[str, Answer]:
        """What was still held back and can be shown, and the whole answer.

        Args:
            cut_off: the token budget ended the answer.
        """
        opened = self._opened and cut_off
        if self._opened and not opened and not _BEGINNING.search(self._text, self._at):
            self._inside = False  # this time it did not think
        rest = "".join(self._passed(len(self._text), whole=True))
        answer = separated(self._text, opened=opened)
        return rest, Answer(answer.text, answer.reasoning_chars + self._beside)

    def _passed(self, new: int, *, whole: bool = False) -> Iterator[str]:
        while True:
            if self._inside:
                known = len(self._text) - new - LONGEST_END
                end = _ENDING.search(self._text, max(self._at, known))
                if end is None:
                    return
                self._at, self._inside = end.end(), False
                if self._shown:
                    self._shown = False
                    yield _RETRACTION
            tag = _EITHER.search(self._text, self._at)
            stop = tag.start() if tag else len(self._text)
            if tag is None and not whole and (held := _UNFINISHED.search(self._text, self._at)):
                stop = held.start()
            passed = self._text[self._at : stop]
            if (tag is None or tag["end"] is None) and (self._shown or passed.strip()):
                yield passed if self._shown else passed.lstrip()
                self._shown = True
            self._at = stop
            if tag is None:
                return
            self._inside = True


def _is_answer(part: Any) -> bool:
    return not isinstance(part, dict) or part.get("type", "text") in ("text", "output_text")


def _flat(value: Any) -> str:
    """The text in a part: its own, or that of the parts in it."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(map(_flat, value))
    if isinstance(value, dict):
        known = (value[k] for k in ("text", "thinking", "reasoning", "content") if value.get(k))
        return _flat(next(known, ""))
    raise ValueError(f"wanted text or parts in an answer's content, got {str(value)[:80]}")
