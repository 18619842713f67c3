"""Texts cut up: sentences to leave out, and the difference of two texts, word by word."""

import re
import unicodedata
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal


@dataclass(frozen=True, slots=True)
class Change:
    """Words that two texts share, or that one of them has."""

    kind: Literal["same", "removed", "added"]
    text: str


def difference(before: str, after: str) -> tuple[Change, ...]:
    """The words of `after`, those of `before` that went, and which are which."""
    old, new = before.split(), after.split()
    found: list[Change] = []
    for kind, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            found.append(Change("same", " ".join(old[a:b])))
            continue
        if a < b:
            found.append(Change("removed", " ".join(old[a:b])))
        if c < d:
            found.append(Change("added", " ".join(new[c:d])))
    return tuple(found)


def pieces(text: str) -> list[str]:
    """Its sentences; of a single sentence, its clauses."""
    sentences = [part for part in re.split(r"(?<=[.!?])\s+", text.strip()) if part]
    if len(sentences) > 1:
        return sentences
    return [part for part in re.split(r"(?<=[,;:])\s+", text.strip()) if part]


def without(parts: list[str], n: int) -> str:
    """The text of `pieces` without its n-th one."""
    return " ".join(part for i, part in enumerate(parts) if i != n)


def visible(text: str) -> str:
    """The text with every control character made visible, as U+2400 pictures or <U+....>: it
    cannot move a cursor, turn writing around or end a line."""
    return "".join(map(_visible, text))


def _visible(char: str) -> str:
    if unicodedata.category(char) not in _UNSEEN:
        return char
    code = ord(char)
    return chr(0x2400 + code) if code < 0x20 else f"<U+{code:04X}>"


_UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
