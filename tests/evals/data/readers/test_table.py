"""Both readings of a file agree, and every fault is named, whatever the file holds."""

import csv
import gzip
import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.exceptions import PolarsError

from lrgd.core.errors import InputError
from lrgd.core.text import unusable_id
from lrgd.evals.data.cleaning import Rules, clean
from lrgd.evals.data.datasets import DataSet
from lrgd.evals.data.readers import READERS, Format
from lrgd.evals.data.readers.json_lines import json_lines
from lrgd.evals.data.readers.separated import Dialect, separated
from lrgd.evals.data.readers.table import Table
from tests.evals.data.readers.files import SEQUENCES, WRITERS

T = TypeVar("T")

COLUMNS = ("user", "item", "rating")
FIELDS = {"user": "u", "item": "i", "rating": "r"}
few = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with TemporaryDirectory() as name:
        yield Path(name)


def attempted(action: Callable[[], T]) -> tuple[T | None, str]:
    """What an action gives, or the message of its InputError."""
    try:
        return action(), ""
    except InputError as error:
        return None, str(error)


def careful(table: Table) -> pl.DataFrame | None:
    frame, fault = attempted(lambda: table.careful(COLUMNS))
    assert frame is not None or re.search(r"file:\d+: ", fault), fault
    return frame


def fast(table: Table) -> pl.DataFrame | None:
    """What polars reads, where it shows no fault."""
    read: list[pl.DataFrame] = []

    def sound(frame: pl.DataFrame) -> bool:
        ids = frame.select(pl.col("user", "item")).rows()
        numbers = frame["rating"].cast(pl.Float64, strict=False)
        usable = all(i is not None and unusable_id(i) is None for row in ids for i in row)
        if usable and numbers.is_finite().fill_null(value=False).all():
            read.append(frame)
        return True

    try:
        table.collect(lambda rows: rows, COLUMNS, sound)
    except (PolarsError, InputError):
        return None
    return read[0] if read else None


def assert_agree(table: Table) -> None:
    by_polars = fast(table)
    if by_polars is not None:
        ours = careful(table)
        assert ours is not None
        assert by_polars.select("user", "item").equals(ours.select("user", "item"))
        numbers = [f["rating"].cast(pl.Float64).to_list() for f in (by_polars, ours)]
        assert numbers[0] == numbers[1]


piece = st.sampled_from(
    ["u1", "i1", "5", "4.0", "1e3", "", " ", "\t", ",", "\r", '"', '""', "\x00", "\xa0", "é", "nan"]
)
good = st.sampled_from(["u1\ti1\t5\n", "u2\ti2\t4.5\r\n", "\n", " \n", "u3\ti 3\t1e3\n"])
tabbed = st.lists(good | st.lists(piece, max_size=6).map(lambda p: "".join(p) + "\n"), max_size=6)


@few
@given(tabbed, st.booleans(), st.booleans())
def test_fields_between_separators(folder: Path, lines: list[str], end: bool, bom: bool) -> None:
    text = "".join(["u0\ti0\t5\n", *lines])
    text = text if end else text.rstrip("\n")
    for separator, quoted in (("\t", False), (",", True)):
        path = folder / "file"
        path.write_bytes((b"\xef\xbb\xbf" if bom else b"") + text.replace("\t", separator).encode())
        table = separated(
            path, Dialect(separator, quoted), ("u", "i", "r"), FIELDS, COLUMNS, first=1
        )
        assert_agree(table)
        careful(table)


scalar = st.sampled_from(
    ["x", "é", "", " ", "a\tb", "5", 5, 5.0, 0.25, 1e22, None, True, [1.0], {}]
)
key = st.sampled_from(["u", "i", "r", "other"])
record = st.dictionaries(key, scalar) | st.fixed_dictionaries(
    {"u": st.just("x"), "i": st.sampled_from(["y", 3]), "r": st.sampled_from([5.0, "4", 1e-7])}
)
dumped = record.map(json.dumps) | record.map(lambda r: json.dumps(r, ensure_ascii=False))
broken = st.sampled_from(
    ['{"u": "x"', "[1]", "null", "{'u': 1}", '{"u":"x","i":"y","r":1}}', '{"u":"x","u":"z","i":1}',
     '{"u":"x","i":"y","r":NaN}', '{"u":"x","i":"y","r":1,"other":NaN}', "", "  ", "[" * 5000,
     '{"u":"x","i":"y","r":1e400}', '{"u":"\\ud800","i":"y","r":1}', "\ufeff", "9" * 5000]
)  # fmt: skip


@few
@given(st.lists(dumped | broken, max_size=6), st.booleans(), st.sampled_from(["\n", "\r\n"]))
def test_json_lines(folder: Path, lines: list[str], bom: bool, end: str) -> None:
    path = folder / "file"
    path.write_bytes((b"\xef\xbb\xbf" if bom else b"") + end.join([*lines, ""]).encode())
    table = json_lines(path, FIELDS, COLUMNS)
    assert_agree(table)
    careful(table)


ids = st.text(min_size=1, max_size=8).map(str.strip).filter(lambda t: unusable_id(t) is None)


@few
@given(st.lists(st.tuples(ids, ids), min_size=1, max_size=5), st.booleans(), st.booleans())
def test_quoted_ids_of_a_csv_are_read(
    folder: Path, pairs: list[tuple[str, str]], every: bool, bom: bool
) -> None:
    text = io.StringIO()
    rows = [("user", "item", "rating"), *((user, item, 5) for user, item in pairs)]
    quoting = csv.QUOTE_ALL if every else csv.QUOTE_MINIMAL
    csv.writer(text, lineterminator="\n", quoting=quoting).writerows(rows)
    path = folder / "file"
    path.write_bytes((b"\xef\xbb\xbf" if bom else b"") + text.getvalue().encode())
    table = separated(path, Dialect(",", quoted=True), ("u", "i", "r"), FIELDS, COLUMNS, first=2)
    read = careful(table)
    assert read is not None
    assert read.select("user", "item").rows() == pairs


def test_a_quoted_field_may_go_over_lines_and_a_fault_names_the_first(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text('u,i,"more\nlines",5\nv,i,"so,""\nit",x\n')
    fields = {"user": "u", "item": "i", "rating": "r"}
    table = separated(
        path, Dialect(",", quoted=True), ("u", "i", "t", "r"), fields, COLUMNS, first=1
    )
    with pytest.raises(InputError, match=r"file:3: field r: wanted a number, got 'x'"):
        table.careful(COLUMNS)
    path.write_text('u,i,m,5\nv,i,"m"x,5\n')
    with pytest.raises(InputError, match=r"file:2: a quoted field is malformed: ',' expected"):
        table.careful(COLUMNS)
    path.write_text('u,i,m,5\nv,i,"m,5\nv,i,m,5\n')
    with pytest.raises(InputError, match=r"file:2: a quoted field is malformed: unexpected end"):
        table.careful(COLUMNS)


# One thing corrupted in a valid file of each format.

FORMATS: dict[str, Format] = {form: form.split()[0] for form in WRITERS}  # type: ignore[misc]
INTERACTIONS = {
    "amazon-2018": "Video_Games_5.json.gz",
    "amazon-2018 csv": "Video_Games.csv",
    "amazon-2023": "Video_Games.jsonl",
    "recbole": "games.inter",
}
NAMED = {
    "amazon-2018": ("reviewerID", "asin", "overall", "unixReviewTime"),
    "amazon-2018 csv": ("user", "item", "rating", "time"),
    "amazon-2023": ("user_id", "parent_asin", "rating", "timestamp"),
    "recbole": ("user_id:token", "item_id:token", "rating:float", "timestamp:float"),
}
"""Each format's fields of user, item, rating, time."""
ORDER = {"amazon-2018 csv": (1, 0, 2, 3), "recbole": (0, 1, 2, 3)}


def read(form: str, path: Path) -> DataSet:
    return clean(READERS[FORMATS[form]](path), Rules(1))[0]


def lines_in(path: Path) -> list[str]:
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).decode().splitlines()


def save(path: Path, lines: list[bytes]) -> None:
    data = b"".join(line + b"\n" for line in lines)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def with_value(form: str, line: str, field: int, value: Any) -> str:
    """A line with another value in its user, item, rating or time."""
    if form in ORDER:
        separator = "\t" if form == "recbole" else ","
        parts = line.split(separator)
        parts[ORDER[form][field]] = str(value)
        return separator.join(parts)
    return json.dumps({**json.loads(line), NAMED[form][field]: value})


@dataclass(frozen=True)
class Corruption:
    fields: tuple[int, ...]
    apply: Callable[[str, str, int], str | bytes]
    """Format, line and field -> the corrupted line."""
    says: str
    """{} stands for the field."""


def valued(value: Any) -> Callable[[str, str, int], str]:
    return lambda form, line, field: with_value(form, line, field, value)


CORRUPTIONS = {
    "empty": Corruption((0, 1, 2, 3), valued(""), "field {} is missing or empty"),
    "blank": Corruption((0, 1, 2, 3), valued("  "), "field {} is missing or empty"),
    "word": Corruption((2, 3), valued("soon"), "field {}: wanted a number, got 'soon'"),
    "nan": Corruption((2, 3), valued("NaN"), "field {}: wanted a number, got 'NaN'"),
    "NaN": Corruption((2, 3), valued(float("nan")), "field {}: wanted a number, got '[nN]a[nN]'"),
    "infinite": Corruption((2, 3), valued("inf"), "field {}: wanted a number, got 'inf'"),
    "python": Corruption((2, 3), valued("1_000"), "field {}: wanted a number, got '1_000'"),
    "control": Corruption((0, 1), valued("A\x071"), r"field {} holds the character U\+0007"),
    "bidi": Corruption((0, 1), valued("A\u202e1"), r"field {} holds the character U\+202E"),
    "short": Corruption((0,), lambda f, line, n: line[: -len(line) // 2], "wanted"),
    "long": Corruption((0,), lambda f, line, n: f"{line}\t1,1", "wanted"),
    "latin": Corruption(
        (0,), lambda f, line, n: line.encode() + b"\xe9", "byte .*0xE9, is not UTF-8"
    ),
}


@few
@given(st.sampled_from(list(INTERACTIONS)), st.sampled_from(list(CORRUPTIONS)), st.data())
def test_one_corrupted_value_is_named_with_file_line_and_field(
    form: str, kind: str, data: st.DataObject
) -> None:
    corruption = CORRUPTIONS[kind]
    with TemporaryDirectory() as name:
        path = WRITERS[form](Path(name)) / INTERACTIONS[form]
        lines = lines_in(path)
        # A header, or the line that tells how many fields there are, is told of in another way.
        at = data.draw(st.integers(int(form in ORDER), len(lines) - 1))
        field = data.draw(st.sampled_from(corruption.fields))
        changed = corruption.apply(form, lines[at], field)
        raw = [line.encode() for line in lines]
        raw[at] = changed.encode() if isinstance(changed, str) else changed
        save(path, raw)
        says = corruption.says.format(NAMED[form][field])
        with pytest.raises(InputError, match=rf"{re.escape(path.name)}:{at + 1}: {says}") as error:
            read(form, Path(name))
        assert len(str(error.value).splitlines()) == 1


@few
@given(st.sampled_from(list(WRITERS)), st.data())
def test_bytes_gone_or_changed_are_read_or_an_error_that_names_the_file(
    form: str, data: st.DataObject
) -> None:
    with TemporaryDirectory() as name:
        files = sorted(WRITERS[form](Path(name)).iterdir())
        path = data.draw(st.sampled_from(files))
        raw = bytearray(path.read_bytes())
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=3))
        path.write_bytes(raw)
        data_set, fault = attempted(lambda: read(form, Path(name)))
        assert data_set or path.name in fault or "nothing is left" in fault, fault
        assert data_set is None or data_set.sequences


@pytest.mark.parametrize("form", ["amazon-2018", "amazon-2023"])
@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_nan_in_a_field_that_is_not_read_is_no_fault(
    form: str, constant: str, tmp_path: Path
) -> None:
    path = WRITERS[form](tmp_path) / INTERACTIONS[form]
    for file in tmp_path.iterdir():
        save(file, [f'{line[:-1]}, "price": {constant}}}'.encode() for line in lines_in(file)])
    assert path.exists()
    assert read(form, tmp_path).sequences == SEQUENCES


def test_nan_in_a_text_is_missing_and_infinity_is_named(tmp_path: Path) -> None:
    WRITERS["amazon-2023"](tmp_path)
    path = tmp_path / "meta_Video_Games.jsonl"
    lines = [re.sub(r'"title": "[^"]*"', '"title": NaN', line) for line in lines_in(path)[:1]]
    save(path, [line.encode() for line in (*lines, *lines_in(path)[1:])])
    data, report = clean(READERS["amazon-2023"](tmp_path), Rules(1))
    assert len(data.items) == 3
    assert report.as_dict()["dropped"]["item without a title"] == 3
    save(path, [line.replace("NaN", "Infinity").encode() for line in lines_in(path)])
    with pytest.raises(InputError, match=r"meta_Video_Games\.jsonl:1: field title: wanted text"):
        read("amazon-2023", tmp_path)
