"""The rule for text from outside: titles, brands, notes, what a person types, ids.

Every text is made one line that is what it looks like (`one_line`), where it enters: readers of
files, notes of a model, a person's edits. Ids are never changed, since two may differ in what
would be changed: they are kept as they stand, or refused (`unusable_id`).
"""

import re
import unicodedata

_HIDDEN = (
    (0x00, 0x08), (0x0E, 0x1B), (0x7F, 0x84), (0x86, 0x9F),  # C0 and C1 controls
    (0xAD, 0xAD), (0x180E, 0x180E), (0x200B, 0x200B), (0x2060, 0x206F), (0xFEFF, 0xFEFF),
    (0x061C, 0x061C), (0x200E, 0x200F), (0x202A, 0x202E),  # marks and overrides of direction
    (0x3164, 0x3164), (0xFFA0, 0xFFA0), (0xFFF9, 0xFFFB), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A),
)  # fmt: skip
_LINE_ENDS = ((0x09, 0x0D), (0x1C, 0x1F), (0x85, 0x85), (0x2028, 0x2029))
_TAGS = "\U000e0000-\U000e007f"
_FLAG = "\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{1,6}\U000e007f"


def _class(*ranges: tuple[int, int]) -> str:
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in ranges)


REFUSED_IN_IDS = f"[{_class(*_HIDDEN, *_LINE_ENDS)}{_TAGS}\ufffd]"
"""A regular expression, for Python and for polars: see `unusable_id`."""

_REFUSED = re.compile(f"{REFUSED_IN_IDS[:-1]}\ud800-\udfff]")
_UNSEEN = re.compile(f"({_FLAG})|[{_class(*_HIDDEN)}{_TAGS}]")
_HIDDEN_OR_FLAG = re.compile(f"({_FLAG})|[{_class(*_HIDDEN, *_LINE_ENDS)}{_TAGS}\ud800-\udfff]")
_JOINERS, _SELECTORS = "\u200c\u200d", "\ufe00-\ufe0f\U000e0100-\U000e01ef"
_MARKS = re.compile(f"[{_JOINERS}{_SELECTORS}]+")
_JOINER, _SELECTOR = re.compile(f"[{_JOINERS}]"), re.compile(f"[{_SELECTORS}]")


def one_line(text: str) -> str:
    """A text as one visible line, in Unicode's composed form (NFC). Doing it twice changes nothing.

    * Whitespace is folded, line ends and separators with it.
    * Halves of surrogate pairs are joined; lone ones become U+FFFD.
    * Control characters, byte order marks, direction marks and overrides, zero-width spaces and
      other characters that nobody sees are taken out.
    * What scripts and emoji need stays: between visible characters one joiner or non-joiner, after
      one a variation selector, the tags of a flag. Longer runs, which can hide text, are cut.
    """
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    text = " ".join(_UNSEEN.sub(r"\1", whole_characters(text)).split())
    return unicodedata.normalize("NFC", " ".join(_MARKS.sub(_needed, text).split()))


def whole_characters(text: str) -> str:
    """The text with halves of surrogate pairs joined, lone ones as U+FFFD: it can be encoded."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def unusable_id(text: str) -> str | None:
    """Why a text can be no user's or item's id, or None.

    Refused: an empty one, and one that holds a control character, a line end, a character that
    nobody sees (see `one_line`), a lone surrogate or U+FFFD, the traces of a wrong encoding. Kept
    letter for letter: all else, with spaces, signs, emoji and any script. Blanks at the ends belong
    to the file, not to the id: readers take them off.
    """
    if not text.strip():
        return "is missing or empty"
    if found := _REFUSED.search(text):
        return f"holds the character U+{ord(found[0]):04X}, which no id may"
    return None


def visible(text: str) -> str:
    """A text for terminals and pages, on one line: every character that would move a cursor, turn
    writing around, end a line or not be seen is a picture of it (U+2400) or <U+....>."""
    return _HIDDEN_OR_FLAG.sub(lambda found: found[1] or _picture(ord(found[0])), text)


def _picture(code: int) -> str:
    return chr(0x2400 + code) if code < 0x20 else f"<U+{code:04X}>"


def _needed(run: re.Match[str]) -> str:
    """Of a run of joiners and selectors, what its neighbours need."""
    before = run.string[max(0, run.start() - 1) : run.start()]
    after = run.string[run.end() : run.end() + 1]
    if not before.strip():
        return ""
    selector = run[0][0] if _SELECTOR.match(run[0]) else ""
    joiner = _JOINER.search(run[0]) if after.strip() else None
    return selector + (joiner[0] if joiner else "")
