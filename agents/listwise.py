"""The paper's listwise protocol: the parser of what comes back.

A line counts only if, without its numbering and quotes, it IS a candidate's title: never by
substring, which would let "Halo" answer for "Halo 2".
"""

import html
import re
import unicodedata
from collections.abc import Sequence

from agents.prompts import option_names
from agents.values import Item, Ranking, RankingAudit

_LEAD = re.compile(r"^\W*(?:\d{1,3}\s*[.):\]-]+\s*)?")


def parse_list(text: str, candidates: Sequence[Item], *, truncated: bool = False) -> Ranking:
    """The ranking that a text states, completed to a permutation, with its audit.

    Candidates that the text does not name follow in candidate order.
    """
    names = option_names(candidates)
    by_title = {_folded(name): item_id for name, item_id in names.items() if _folded(name)}
    lines = [line for line in text.splitlines() if line.strip()]
    named = [_match(line, by_title) for line in lines]
    known = [item_id for item_id in named if item_id is not None]
    first = list(dict.fromkeys(known))
    rest = [c.id for c in candidates if c.id not in set(first)]
    audit = RankingAudit(
        named=len(first),
        duplicates=len(known) - len(first),
        out_of_set=len(named) - len(known),
        missing=len(rest),
        truncated=truncated,
    )
    return Ranking((*first, *rest), audit)


def _match(line: str, by_title: dict[str, str]) -> str | None:
    """The item that a line names: as it stands first, for titles that begin with a number."""
    whole = by_title.get(_folded(line))
    return whole or by_title.get(_folded(_LEAD.sub("", line, count=1)))


def _folded(text: str) -> str:
    text = unicodedata.normalize("NFKC", html.unescape(text)).casefold()
    return " ".join(re.findall(r"\w+", text))
