"""Items' texts as shops write them: HTML, lists where a text was meant, pieces of a page's script.

Entities are unescaped (twice over, since some were escaped twice), HTML elements taken out, then
the rule for texts from outside applied (core/text.py). A title that is a page's script counts as
missing; so does one that ends up empty, and one that is letter for letter what pandas writes for a
missing value (`MISSING`), in any format: no file says whether pandas wrote it, and a product that
is really called "None" is lost. Other spellings ("NONE", "none", "Null") are names, and so are
titles of signs only (a heart, "..."). Brands and categories go by the same list. Categories end
where markup begins: what follows there is a chopped product page. A description is cut after
DESCRIPTION_CHARS, at a word's end: a bundle is to stay small.
"""

import html
import json
import re
from collections.abc import Mapping
from math import isnan

from lrgd.agents.values import Item
from lrgd.core.text import one_line

DESCRIPTION_CHARS = 500

MISSING = frozenset({"", "nan", "NaN", "None", "null", "NULL", "N/A", "n/a", "<NA>"})
"""What stands for a missing value in a text."""

# Elements that occur, by name: `Halo <Limited Edition>` is no markup.
_ELEMENTS = (
    "a|abbr|b|big|blockquote|body|br|center|code|dd|div|dl|dt|em|embed|font|form|h[1-6]|head|hr|"
    "html|i|iframe|img|input|li|link|meta|noscript|object|ol|option|p|param|pre|s|script|select|"
    "small|span|strike|strong|style|sub|sup|table|tbody|td|th|thead|title|tr|tt|u|ul"
)
_CODE = re.compile(r"<(script|style)\b[^>]*>.*?</\1\s*>|<!--.*?-->", re.DOTALL | re.IGNORECASE)
_TAG = re.compile(rf"</?(?:{_ELEMENTS})\b[^<>]*>", re.IGNORECASE)
_PAGE_SCRIPT = re.compile(r"getTime\(|\bvar aPageStart\b|function\s*\(")


def plain(text: str) -> str:
    """Text without markup, entities unescaped, on one line; empty where it stands for nothing."""
    # Unescaped first: markup may itself be escaped.
    text = unescaped(text)
    if "<" in text and text not in MISSING:
        text = unescaped(_TAG.sub(" ", _CODE.sub(" ", text)))
    return "" if text in MISSING else text


def unescaped(text: str) -> str:
    """HTML entities unescaped (also `&amp;amp;`), on one line."""
    return one_line(html.unescape(html.unescape(text)))


def title_of(raw: str | None) -> str:
    """A title's plain text; empty if there is none."""
    if raw is None or _PAGE_SCRIPT.search(raw):
        return ""
    return plain(" ".join(_parts(raw)))


def item_of(row: Mapping[str, str | None]) -> Item:
    """An item of a source's row of raw texts."""
    return Item(
        id=row["id"] or "",
        title=title_of(row["title"]),
        brand=plain(" ".join(_parts(row["brand"]))).removeprefix("by "),
        categories=_categories(row["categories"]),
        description=_cut(plain(" ".join(_parts(row["description"])))),
    )


def _categories(raw: str | None) -> tuple[str, ...]:
    parts = _parts(raw)
    if parts == [raw]:
        # One text: `Video Games,PC` (LC-Rec), `'Video Games', 'PC'` (RecBole), else one category.
        parts = [part.strip(" '\"[]") for part in parts[0].split(",")]
    kept: dict[str, None] = {}
    for part in parts:
        if _TAG.search(unescaped(part)):
            break
        kept[plain(part)] = None
    kept.pop("", None)
    return tuple(kept)


def _parts(raw: str | None) -> list[str]:
    """The texts of a value: a JSON list's (lists in it laid flat), or the value itself."""
    if raw is None:
        return []
    if raw.startswith("["):
        try:
            return _flat(json.loads(raw))
        except (ValueError, RecursionError):
            pass  # A title such as "[Import] Zelda".
    return [raw]


def _flat(value: object) -> list[str]:
    if isinstance(value, list):
        return [part for one in value for part in _flat(one)]
    missing = value is None or (isinstance(value, float) and isnan(value))
    return [] if missing else [str(value)]


def _cut(text: str) -> str:
    if len(text) <= DESCRIPTION_CHARS:
        return text
    return one_line(text[:DESCRIPTION_CHARS].rsplit(" ", 1)[0])
