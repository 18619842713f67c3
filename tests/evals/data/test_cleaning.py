from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrgd.core.errors import InputError
from lrgd.core.text import one_line
from lrgd.evals.data.cleaning import Rules, clean, k_core
from lrgd.evals.data.item_texts import DESCRIPTION_CHARS, item_of, plain, title_of
from lrgd.evals.data.readers.source import INTERACTION, ITEM, Source
from lrgd.evals.data.readers.table import Record, Table, Where

Row = tuple[str, str, str, str | None]


def table(columns: tuple[str, ...], rows: Sequence[Sequence[str | None]], *lacks: str) -> Table:
    """Rows as a file's table, which holds all columns but those that it lacks."""
    known = [column for column in columns if column not in lacks]

    def records() -> Iterator[tuple[Where, Record]]:
        for number, row in enumerate(rows, start=1):
            yield number, dict(zip(columns, row, strict=True))

    return Table(Path("small"), {column: column for column in known}, columns, records)


def source(rows: list[Row], titles: dict[str, str | None] | None = None) -> Source:
    known: dict[str, str | None] = dict.fromkeys((row[1] for row in rows), "a title")
    known |= titles or {}
    items = [(item, title, None, None, None) for item, title in known.items()]
    lacks = ["rating"] if all(row[3] is None for row in rows) else []
    return Source("small", table(INTERACTION, rows, *lacks), table(ITEM, items))


pairs = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), unique=True, max_size=40)


@given(pairs, st.integers(1, 4))
def test_a_k_core_is_a_fixed_point_and_the_largest(pairs: list[tuple[int, int]], k: int) -> None:
    frame = pl.DataFrame(pairs, {"user": pl.Int64, "item": pl.Int64}, orient="row")
    found = k_core(frame, k)
    # The other route: take single users and items away, in any order, until none is too small.
    left = set(pairs)
    while small := [
        pair for pair in left if any(sum(p[at] == pair[at] for p in left) < k for at in (0, 1))
    ]:
        left.remove(small[-1])
    assert found.rows() == [pair for pair in pairs if pair in left]
    assert k_core(found, k).equals(found)


def test_every_rule_drops_what_it_says_and_the_report_counts_it() -> None:
    rows: list[Row] = [
        ("u", "a", "13", "5"),
        ("u", "b", "11", "2"),  # rated below 3
        ("u", "c", "12", "5"),
        ("u", "a", "11", "4"),  # the earlier one of two with the same item: stays
        ("u", "x", "14", "5"),  # without a title
        ("u", "y", "14", "5"),  # not in the metadata
        ("v", "a", "11", "5"),
        ("v", "c", "11", "5"),  # at the time of the one before
        ("w", "a", "11", "5"),  # w has one interaction only
    ]
    small = source(rows, {"x": " <br> &nbsp; ", "y": None})
    data, report = clean(small, Rules(k_core=2, min_rating=3))
    assert data.sequences == {"u": ("a", "c"), "v": ("a", "c")}
    assert report.as_dict() == {
        "read": {"interactions": 9, "users": 3, "items": 5},
        "dropped": {
            "rated below 3": 1,
            "item without a title": 2,
            "item that the user had before": 1,
            "user or item with fewer than 2": 1,
        },
        "kept": {"interactions": 4, "users": 2, "items": 2},
        "tied": 1,
    }
    read, kept = report.read.interactions, report.kept.interactions
    assert read - sum(step.interactions for step in report.dropped) == kept


def test_equal_times_keep_the_order_of_the_file() -> None:
    items = [f"i{n}" for n in (5, 3, 9, 1, 7)]
    rows: list[Row] = [("v", "i1", "7", None), *(("u", item, "18", None) for item in items)]
    data, _ = clean(source(rows), Rules(1))
    assert data.sequences == {"u": tuple(items), "v": ("i1",)}


def test_times_are_numbers_not_texts() -> None:
    data, _ = clean(source([("u", "a", "10", None), ("u", "b", "9", None)]), Rules(1))
    assert data.sequences == {"u": ("b", "a")}


def test_an_item_that_comes_twice_has_its_first_title() -> None:
    titles = [("a", "first", None, None, None), ("a", "second", None, None, None)]
    twice = replace(source([("u", "a", "1", None)]), items=table(ITEM, titles))
    assert clean(twice, Rules(1))[0].items["a"].title == "first"


def test_what_cannot_be_done_is_said() -> None:
    with pytest.raises(InputError, match="has no ratings: leave --min-rating out"):
        clean(source([("u", "a", "1", None)]), Rules(1, min_rating=3))
    with pytest.raises(InputError, match="nothing is left of 1 rows: 0 item without a title; 0"):
        clean(source([("u", "a", "1", None)]), Rules(5))


@pytest.mark.parametrize(
    ("raw", "title"),
    [
        ("Tom &amp;amp; Jerry", "Tom & Jerry"),
        ("<b>Doom</b>&lt;br /&gt;  II", "Doom II"),
        ("Halo <Limited Edition> 5 < 6", "Halo <Limited Edition> 5 < 6"),
        ('["A list", "of two"]', "A list of two"),
        ("[Import] Zelda", "[Import] Zelda"),
        ("<script>var a = 1;</script><style>p{}</style>", ""),
        ("var aPageStart = (new Date()).getTime();", ""),
        (None, ""),
        *((missing, "") for missing in ("nan", "NaN", "None", "null", "NULL", "N/A", " nan ")),
        ('["None"]', ""),
        ("<NA>", ""),
        *((name, name) for name in ("none", "NONE", "Nan", "Null", "NA", "None of Us", "N/A!")),
        *((sign, sign) for sign in ("\u2665", "\U0001f3ae", "...", "\u2764\ufe0f", "?")),
        ("Ha\u200blo&#0;\u202e\n3 &#8238;", "Halo\ufffd 3"),
        ("[" * 9999, "[" * 9999),
        ("Poke\u0301mon", "Pok\u00e9mon"),
    ],
)
def test_titles_as_shops_write_them(raw: str | None, title: str) -> None:
    assert title_of(raw) == title


def test_texts_are_plain_and_short() -> None:
    row = {"id": "a", "title": "t", "brand": "by\n Foo", "categories": '[["A", "B"], ["A"]]'}
    item = item_of({**row, "description": "word " * 400})
    assert (item.brand, item.categories) == ("Foo", ("A", "B"))
    assert len(item.description) <= DESCRIPTION_CHARS
    assert item.description.endswith("word")


@given(st.text())
def test_plain_text_stays_as_it_is_the_second_time_unless_it_hides_more_markup(text: str) -> None:
    once = plain(text)
    assert once == one_line(once)


def test_titles_that_stand_for_nothing_are_counted_as_missing() -> None:
    rows: list[Row] = [("u", item, str(n), None) for n, item in enumerate("abcde")]
    titles = {"a": "nan", "b": "None", "c": "\u2665", "d": "...", "e": "Halo"}
    data, report = clean(source(rows, dict(titles)), Rules(1))
    assert data.sequences == {"u": ("c", "d", "e")}
    assert report.as_dict()["dropped"]["item without a title"] == 2
    brand = {"id": "a", "title": "t", "brand": "nan", "categories": '["None", "PC"]'}
    item = item_of({**brand, "description": "null"})
    assert (item.brand, item.categories, item.description) == ("", ("PC",), "")
