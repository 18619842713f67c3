"""The paper's listwise protocol: the parser of what comes back.

An entry counts only if, without its numbering, quotes and markup, it IS a candidate's title: never
by substring, which would let "Halo" answer for "Halo 2". Prose around a list is no entry. Two
readings stand side by side: the lenient one (case, punctuation, entities and Unicode forms are
folded), which gives the ranking, and the strict one (letter for letter), see `Ranking.strict`.
"""

import html
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any

from pydantic_core import from_json

from lrgd.agents.prompts import option_names
from lrgd.agents.values import Item, Ranking, RankingAudit

MAX_CHARS = 20_000
"""What is read of an answer."""
LINES_A_CANDIDATE = 4
"""Lines, and entries on them, that are read for each candidate; a list that goes on longer repeats
itself."""
LONGEST_RUN = 6
"""Commas that a title may hold and still be found in a list on one line."""

_MARK = re.compile(
    r"""^[\s>#*_|(\["{`]*(?:(?:rank|no\.?|item)\s*)?                    # opening markup
    (?:[1-9]\d{0,2}(?:st|nd|rd|th)?[*_]*\s*(?:[.):\]|}]+(?!\d)|[-–—]+(?=\s))  # 1. 2) [3] 4th: 5 -
    |[a-z][.):\]]+(?=\s))[*_]*\s*                                        # A: b)
    |^\s*[-*+•–—]\s+                                                    # bullets""",
    re.IGNORECASE | re.VERBOSE,
)
_NUMBER = re.compile(r"^(?:\d{1,3}[.):]|[-*+•–—])\s+")
"""A plain number or bullet. `_MARK` takes a title of signs after it for markup."""
_SELECTORS = re.compile("[\ufe00-\ufe0f]")
"""They choose between forms of a sign, as of a heart: models leave them out."""
_MARKUP = " \t*_`\"'[]()“”‘’«».,"
_SPAN = re.compile(r"""^(?:\*\*|__|["'`\[“‘«])(.+?)(?:\*\*|__|["'`\]”’»])""")
_SEPARATOR = re.compile(r"\s*[,;>|→]\s*|\s+(?=\d{1,3}[.)]\s)")
_WORD = re.compile(r"\w+")
_FENCE = re.compile(r"```\w*\n(.*?)(?:```|\Z)", re.DOTALL)


def parse_list(
    text: str, candidates: Sequence[Item], *, asked: int | None = None, truncated: bool = False
) -> Ranking:
    """The ranking that a text states, completed to a permutation, with its audit.

    Candidates that the text does not name follow in candidate order.

    Args:
        text: whatever the model wrote.
        candidates: what it was to rank.
        asked: how many titles it was asked for; None for all.
        truncated: its token budget ended the answer; a last entry that is cut off is not judged.
    """
    titles = _Titles(option_names(candidates))
    limit = len(candidates) * LINES_A_CANDIDATE
    entries = list(islice(_entries(text[:MAX_CHARS], titles, limit), limit))
    if truncated and entries and entries[-1].item is None:
        entries.pop()
    known = [entry.item for entry in entries if entry.item is not None]
    first = list(dict.fromkeys(known))
    audit = RankingAudit(
        named=len(first),
        duplicates=len(known) - len(first),
        out_of_set=len(entries) - len(known),
        missing=max(0, (asked or len(candidates)) - len(first)),
        truncated=truncated,
    )
    rest = [c.id for c in candidates if c.id not in set(first)]
    strict = [entry.item if entry.exact and entry.item else "" for entry in entries]
    return Ranking((*first, *rest), audit, strict=tuple(strict))


@dataclass(frozen=True, slots=True)
class _Entry:
    item: str | None
    """Id of the candidate that it names."""
    exact: bool = False
    """Whether it does so letter for letter."""


class _Titles:
    """Finds candidates by title."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._exact = names
        self._folded: dict[str, list[str]] = {}
        for name in names:
            self._folded.setdefault(_folded_title(name), []).append(name)

    def entry(self, text: str) -> _Entry:
        """What a text names, as a whole."""
        if item := self._exact.get(text):
            return _Entry(item, exact=True)
        titles = self._folded.get(_folded(text), [])
        if len(titles) > 1:  # "C++" and "C#" fold to the same words
            bare = _unified(text).strip(_MARKUP)
            titles = [title for title in titles if _unified(title).strip(_MARKUP) == bare]
        return _Entry(self._exact[titles[0]] if len(titles) == 1 else None)

    def line(self, line: str) -> _Entry:
        """What a line names: as it stands, without its numbering, or by its quoted beginning."""
        if item := self._exact.get(line) or self._exact.get(_NUMBER.sub("", line, count=1)):
            return _Entry(item, exact=True)
        whole = self.entry(line)
        if whole.item or not (bare := _MARK.sub("", line, count=1).strip()):
            return whole
        entry = self.entry(bare) if bare != line else whole
        if entry.item is None and (span := _SPAN.match(bare)):
            return _Entry(self.entry(span[1]).item)
        return entry

    def several(self, line: str) -> list[_Entry]:
        """What a list on one line names; nothing unless all of its parts are titles."""
        line = " ".join(line.split())  # `_SEPARATOR` takes n^2 steps for n blanks
        parts = [p for p in _SEPARATOR.split(line) if p.strip() and not p.strip().isdigit()]
        folded = [_folded(_MARK.sub("", part, count=1)) for part in parts]
        entries, start = [], 0
        while start < len(folded):
            ends = range(min(len(folded), start + LONGEST_RUN), start, -1)
            fits = (e for e in ends if len(self._folded.get(" ".join(folded[start:e]), [])) == 1)
            if (end := next(fits, None)) is None:
                return []
            entries.append(_Entry(self._exact[self._folded[" ".join(folded[start:end])][0]]))
            start = end
        return entries


def _entries(text: str, titles: _Titles, limit: int) -> Iterator[_Entry]:
    """One entry for each thing that the text lists."""
    strings = _json_strings(text)
    if strings is not None:
        yield from (titles.line(s.strip()) for s in strings[:limit])
        return
    lines = [line.strip() for line in text.splitlines() if line.strip()][:limit]
    marked = any(_MARK.match(line) for line in lines)
    for line in lines:
        entry = titles.line(line)
        if entry.item is None and (inside := titles.several(line)):
            yield from inside
        elif entry.item or (_MARK.match(line) if marked else not line.endswith(":")):
            yield entry


def _json_strings(text: str) -> list[str] | None:
    """The titles that a JSON answer lists, even one whose end is missing; None for other texts."""
    fence = _FENCE.search(text)
    body = (fence[1] if fence else text).strip()
    begin = re.search(r"^[^\S\n]*[\[{]", body, re.MULTILINE)
    if begin is None:
        return None
    body = body[begin.start() :]
    for end in (len(body), max(body.rfind("]"), body.rfind("}")) + 1):
        try:
            return list(_strings(from_json(body[:end], allow_partial=True))) or None
        except ValueError:
            continue  # no JSON up to here: prose may follow the list
    return None


def _strings(value: Any) -> Iterable[str]:
    """The strings of a list, of a list of objects, or of the first list in an object."""
    if isinstance(value, dict):
        lists = [v for v in value.values() if isinstance(v, list)]
        yield from _strings(lists[0] if lists else list(value.values()))
    elif isinstance(value, list):
        for part in value:
            texts = part.values() if isinstance(part, dict) else [part]
            yield from [text for text in texts if isinstance(text, str)][:1]


def _folded(text: str) -> str:
    """Words only, for comparing; a text without words stays what it is."""
    unified = _unified(text)
    return " ".join(_WORD.findall(unified)) or unified


_folded_title = lru_cache(maxsize=1 << 14)(_folded)
"""The same titles come in thousands of answers."""


def _unified(text: str) -> str:
    return _SELECTORS.sub("", unicodedata.normalize("NFKC", html.unescape(text))).casefold()
