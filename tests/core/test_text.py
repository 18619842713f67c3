import csv
import io
import json
import re
import unicodedata

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrgd.core.text import REFUSED_IN_IDS, one_line, unusable_id, visible

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
HEART = "\u2764\ufe0f"
SCOTLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"

anything = st.text(st.characters(exclude_categories=()), max_size=40)
"""Any code points, lone surrogates among them."""
tricky = st.text(
    st.sampled_from(
        "a e\u0301\u00e9\u200b\u200c\u200d\ufe0f\ufe0e\u2764\U000e0101"
        "\U0001f3f4\U000e0067\U000e007f"
        "\ud83d\ude00\x00\x1b\x85\u2028\u202e\u2066\ufeff\u00ad\u3164\u0915\u094d\u2000\u212b"
    ),
    max_size=12,
)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\u2028b\x85c\r\n\td\x1ce", "a b c d e"),
        ("\ufeffHalo\x00 \x1b[31m3", "Halo [31m3"),
        ("user\u202etxt.exe\u2066", "usertxt.exe"),
        ("Ha\u200blo\u00ad \u2060", "Halo"),
        ("Poke\u0301mon", "Pok\u00e9mon"),
        ("half \ud83d, whole \ud83d\ude00", "half \ufffd, whole \U0001f600"),
        (f"{FAMILY} {HEART} {SCOTLAND}", f"{FAMILY} {HEART} {SCOTLAND}"),
        (
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        ),
        ("\u0915\u094d\u200d\u0937", "\u0915\u094d\u200d\u0937"),
        ("hidden\U000e0041\U000e0042\U000e007f", "hidden"),
        ("bytes\ufe00\ufe01\ufe02\u200d\u200d\u200d.", "bytes\ufe00\u200d."),
        ("\u200d \ufe0f\u200d \u3164", ""),
        ("\u2764", "\u2764"),
        ("...", "..."),
    ],
)
def test_a_text_becomes_what_it_looks_like_on_one_line(text: str, line: str) -> None:
    assert one_line(text) == line


@given(anything | tricky)
def test_any_text_becomes_one_line_that_files_and_servers_take(text: str) -> None:
    line = one_line(text)
    assert one_line(line) == line
    assert unicodedata.is_normalized("NFC", line)
    assert line.splitlines() == ([line] if line else [])
    assert visible(line) == line
    assert json.loads(json.dumps(line, ensure_ascii=False).encode()) == line
    assert line.encode().decode().split("\t") == [line]
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerow([line, "x"])
    assert list(csv.reader(io.StringIO(written.getvalue()), strict=True)) == [[line, "x"]]


@given(st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=40))
def test_letters_numbers_and_signs_all_stay(text: str) -> None:
    composed = unicodedata.normalize("NFC", text)
    assert one_line(text) == "".join(c for c in composed if c not in "\u3164\uffa0")  # blank ones


@pytest.mark.parametrize(
    "text", ["a", "a b", "B00", "user@shop", HEART, FAMILY, "é", "e\u0301", '"']
)
def test_ids_of_every_script_are_kept(text: str) -> None:
    assert unusable_id(text) is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "missing or empty"),
        (" \u00a0", "missing or empty"),
        ("a\x00", r"U\+0000"),
        ("a\tb", r"U\+0009"),
        ("a\u2028b", r"U\+2028"),
        ("a\u202e", r"U\+202E"),
        ("\ufeffa", r"U\+FEFF"),
        ("\ud800", r"U\+D800"),
        ("\ufffd", r"U\+FFFD"),
    ],
)
def test_an_id_that_is_not_what_it_looks_like_is_refused(text: str, why: str) -> None:
    assert re.search(why, unusable_id(text) or "")


@given(
    st.text(min_size=1, max_size=9) | tricky.filter(lambda t: not re.search("[\ud800-\udfff]", t))
)
def test_polars_refuses_the_same_ids(text: str) -> None:
    refused = pl.Series([text]).str.contains(REFUSED_IN_IDS)[0]
    assert refused == (unusable_id(f"a{text}") is not None)


@given(anything | tricky)
def test_what_is_visible_can_be_printed_and_hides_nothing(text: str) -> None:
    shown = visible(text)
    shown.encode()
    assert len(shown.splitlines()) <= 1
    assert visible(shown) == shown
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown)


def test_the_visible_form_keeps_emoji_and_shows_controls() -> None:
    assert (
        visible(f"{FAMILY}{SCOTLAND}\x1b[2J\u202e\n")
        == f"{FAMILY}{SCOTLAND}\u241b[2J<U+202E>\u240a"
    )
