"""Tables in terminals of any width: no number is cut, no cell is lost."""

import io
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console, RenderableType

from lrgd.core.table import Table
from lrgd.table_view import TableView, key_values

NUMBER = re.compile(r"[-+<]?\d[\d.,]*%?")


def rendered(view: RenderableType, width: int) -> str:
    """What a terminal of this width shows; fails where a line is wider."""
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(view)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert max(map(len, text.split("\n"))) <= width
    return text


def assert_whole(table: Table, width: int) -> None:
    text = rendered(TableView(table), width)
    assert "…" not in text
    shown = NUMBER.findall(text)
    for number in (n for row in table.rows for cell in row[1:] for n in NUMBER.findall(cell)):
        assert number in shown, f"{number} is not whole in:\n{text}"
    for word in (word for row in table.rows for cell in row for word in cell.split()):
        assert word in text, f"{word} is lost in:\n{text}"


def wide(rows: int = 3) -> Table:
    head = ("method", "nDCG@1", "nDCG@10", "Recall@10", "MRR", "Effect_D", "difference [95 %]", "p")
    names = ("random", "LRGD, no perturbation", "MiniLM cosine")
    numbers = ("0.1111", "0.2222", "0.3333", "0.4444", "0.5555", "+0.0760 [+0.0071, +0.1601]")
    return Table("wide", "20 users", head, tuple((n, *numbers, "<0.001") for n in names[:rows]))


@pytest.mark.parametrize("width", [140, 80, 60, 40])
def test_a_wide_table_keeps_every_digit(width: int) -> None:
    assert_whole(wide(), width)


def test_with_room_a_table_is_one_grid() -> None:
    assert rendered(TableView(wide()), 140).count("method") == 1
    assert "┃ method" in rendered(TableView(wide()), 140)


def test_at_80_columns_a_quality_table_is_one_block_with_intervals_below() -> None:
    text = rendered(TableView(wide()), 80)
    assert text.count("method") == 1
    line, after = text[text.index("random") :].split("\n")[:2]
    assert " ".join(line.split()) == "random 0.1111 0.2222 0.3333 0.4444 0.5555 +0.0760 <0.001"
    assert after.strip() == "[+0.0071, +0.1601]"


def test_at_40_columns_names_stand_beside_every_block() -> None:
    text = rendered(TableView(wide()), 40)
    assert text.count("method") == text.count("random") > 1


def test_sentences_are_wrapped_and_narrow_ones_stand_below_the_numbers() -> None:
    said = "likes blue things that are made of merino wool, and nothing else at all"
    table = Table("path", "path 1", ("round", "Effect_D", "rank", "similarity", "demonstration"),
                  (("1", "0.50", "3", "", said), ("2", "1.00", "1", "0.85", said)),
                  prose=True)  # fmt: skip
    for width in (80, 40):
        assert_whole(table, width)
    assert rendered(TableView(table), 80).count("round") == 1
    assert rendered(TableView(table), 40).count("round") == 2


CELL = st.one_of(
    st.decimals(-1000, 1000, places=4).map(str),
    st.integers(0, 10**7).map("{:,}".format),
    st.just(""),
    st.tuples(*3 * [st.floats(-1, 1)]).map(lambda v: "{:+.4f} [{:+.4f}, {:+.4f}]".format(*v)),
)
WORDS = st.lists(st.text("abcxyz@_", min_size=1, max_size=9), min_size=1, max_size=4).map(" ".join)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    columns = draw(st.integers(1, 9))
    head = tuple(draw(st.lists(WORDS, min_size=columns, max_size=columns)))
    row = st.tuples(WORDS, *(columns - 1) * [CELL])
    return Table("any", "any", head, tuple(draw(st.lists(row, max_size=4))))


@given(tables(), st.sampled_from([80, 40]))
@settings(max_examples=200, deadline=None)
def test_any_table_keeps_every_digit(table: Table, width: int) -> None:
    assert_whole(table, width)


def test_text_from_outside_moves_no_cursor_and_is_no_markup() -> None:
    table = Table("x", "x", ("user", "n"), (("[red]ann[/red]\x1b[2J", "1"),))
    text = rendered(TableView(table), 80)
    assert "[red]ann[/red]" in text
    assert "\x1b" not in text
    assert "\x1b" not in rendered(key_values({"model": "m\x1b[2J"}), 80)


def test_long_values_go_on_on_the_next_line() -> None:
    digits = "0123456789abcdef" * 4
    for width in (80, 40):
        text = rendered(key_values({"sha256 (checked)": digits, "users": 1000}), width)
        assert "…" not in text
        assert digits in re.sub(r"\s", "", text)
