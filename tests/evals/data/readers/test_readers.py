import gzip
from itertools import permutations
from pathlib import Path

import pytest

from lrgd.core.errors import InputError
from lrgd.evals.data.cleaning import Rules, clean
from lrgd.evals.data.datasets import DataSet
from lrgd.evals.data.readers import READERS, Format
from tests.evals.data.readers.files import (
    ITEMS,
    ROWS,
    SEQUENCES,
    TITLES,
    WRITERS,
    amazon_2018,
    amazon_2018_csv,
    amazon_2023,
    lcrec,
    recbole,
    write,
)

FORMATS: dict[str, Format] = {
    "amazon-2018": "amazon-2018",
    "amazon-2018 csv": "amazon-2018",
    "amazon-2023": "amazon-2023",
    "recbole": "recbole",
    "lcrec": "lcrec",
}


def read(source: Format, path: Path, k_core: int = 1) -> DataSet:
    return clean(READERS[source](path), Rules(k_core))[0]


@pytest.mark.parametrize("form", WRITERS)
def test_every_format_yields_the_same_titles_in_time_order(form: str, tmp_path: Path) -> None:
    data = read(FORMATS[form], WRITERS[form](tmp_path))
    titles = dict(zip(ITEMS, TITLES, strict=True))
    found = {u: [data.items[i].title for i in s] for u, s in data.sequences.items()}
    assert found == {u: [titles[i] for i in s] for u, s in SEQUENCES.items()}
    assert len(data.items) == 4


@pytest.mark.parametrize("form", WRITERS)
def test_every_format_names_its_data_set_and_its_files(form: str, tmp_path: Path) -> None:
    source = READERS[FORMATS[form]](WRITERS[form](tmp_path))
    assert source.name.startswith(FORMATS[form])
    assert source.name.endswith("games")
    assert {file.name for file in source.files} == {file.name for file in tmp_path.iterdir()}


def test_amazon_2018_metadata_as_they_occur(tmp_path: Path) -> None:
    items = read("amazon-2018", amazon_2018(tmp_path)).items
    first, second, third, last = (items[i] for i in ITEMS)
    assert first.brand == "Nintendo"
    assert first.categories == ("Video Games", "PC & Mac")
    assert first.description == "First. Second one."
    assert (second.brand, second.categories) == ("Bungie", ("Video Games",))
    assert third.description == "x" * 300
    assert (last.title, last.brand, last.categories, last.description) == ("Doom", "", (), "")


def test_amazon_2023_and_lcrec_fields(tmp_path: Path) -> None:
    item = read("amazon-2023", amazon_2023(tmp_path)).items[ITEMS[0]]
    assert (item.brand, item.description) == ("Nintendo", "First. Second.")
    other = read("lcrec", lcrec(tmp_path)).items["0"]
    assert item.categories == other.categories == ("Video Games", "PC")
    assert other.description == "Long ago."


def test_recbole_token_sequences_are_categories(tmp_path: Path) -> None:
    recbole(tmp_path)
    assert read("recbole", tmp_path).items[ITEMS[0]].categories == ("Video", "PC")
    text = (tmp_path / "games.item").read_text().replace("Video PC", "'Video Games', 'PC'")
    (tmp_path / "games.item").write_text(text)
    assert read("recbole", tmp_path).items[ITEMS[0]].categories == ("Video Games", "PC")


def test_recbole_without_timestamps_keeps_the_order_of_the_file(tmp_path: Path) -> None:
    recbole(tmp_path)
    rows = "A1\tB000000003\nA1\tB000000001\n"
    (tmp_path / "games.inter").write_text("user_id:token\titem_id:token\n" + rows)
    assert read("recbole", tmp_path).sequences == {"A1": (ITEMS[2], ITEMS[0])}


@pytest.mark.parametrize("header", ["", "user,item,rating,timestamp\n"])
def test_columns_of_a_csv_are_told_and_said(tmp_path: Path, header: str) -> None:
    amazon_2018_csv(tmp_path)
    source = READERS["amazon-2018"](tmp_path)
    assert source.notes["columns"].startswith("item, user, rating, time (told by how their")
    rows = [line.split(",") for line in (tmp_path / "Video_Games.csv").read_text().splitlines()]
    turned = "".join(",".join([user, item, *rest]) + "\n" for item, user, *rest in rows)
    (tmp_path / "Video_Games.csv").write_text(header + turned)
    source = READERS["amazon-2018"](tmp_path)
    assert source.notes["columns"].startswith("user, item, rating, time (")
    assert clean(source, Rules(1))[0].sequences == SEQUENCES


def test_a_csv_that_does_not_tell_its_columns_is_refused(tmp_path: Path) -> None:
    amazon_2018_csv(tmp_path)
    (tmp_path / "Video_Games.csv").write_text("u1,i1,5.0,1300000000\nu1,i2,5.0,1300000001\n")
    with pytest.raises(InputError, match=r"Video_Games\.csv:1: cannot tell users from items"):
        READERS["amazon-2018"](tmp_path)
    (tmp_path / "Video_Games.csv").write_text("u1;i1;5.0;1\n")
    with pytest.raises(InputError, match=r"csv:1: wanted 4 fields between commas"):
        READERS["amazon-2018"](tmp_path)


PUBLISHED = (("user", "item", "rating", "time"), ("item", "user", "rating", "time"))


@pytest.mark.parametrize("order", list(permutations(PUBLISHED[0])))
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_csv_in_any_order_is_read_with_a_header_and_never_guessed(
    tmp_path: Path, order: tuple[str, ...], mark: str
) -> None:
    amazon_2018_csv(tmp_path)
    named = [dict(zip(("user", "item", "time", "rating"), row, strict=True)) for row in ROWS]
    body = "".join(",".join(str(row[name]) for name in order) + "\n" for row in named)
    path = tmp_path / "Video_Games.csv"
    path.write_text(f"{mark}{','.join(order)}\n{body}", "utf-8")
    assert read("amazon-2018", tmp_path).sequences == SEQUENCES
    path.write_text(mark + body, "utf-8")
    if order in PUBLISHED:
        assert read("amazon-2018", tmp_path).sequences == SEQUENCES
        return
    looks = ",".join(order)
    wanted = rf"csv:1: without a header the columns look like {looks}; wanted item,user,rating,time"
    with pytest.raises(InputError, match=wanted):
        read("amazon-2018", tmp_path)


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("user,item,rating,date\n", r"csv:1: no column for time; known names: timestamp"),
        ("user,user,item,rating,timestamp\n", r"csv:1: two columns are named user: rename one"),
    ],
)
def test_a_header_that_lacks_a_column_or_names_two_alike_is_refused(
    tmp_path: Path, header: str, says: str
) -> None:
    amazon_2018_csv(tmp_path)
    (tmp_path / "Video_Games.csv").write_text(header + "A1,B000000001,5.0,1300000000\n")
    with pytest.raises(InputError, match=says):
        read("amazon-2018", tmp_path)


def test_quoted_ids_and_a_mark_before_the_header_are_read(tmp_path: Path) -> None:
    amazon_2018_csv(tmp_path)
    rows = "".join(f'"{user}","{item}",{rating},{time}\n' for user, item, time, rating in ROWS)
    for head in ('\ufeff"user_id","parent_asin","rating","timestamp"\n', "", "\ufeff"):
        (tmp_path / "Video_Games.csv").write_text(head + rows, "utf-8")
        assert read("amazon-2018", tmp_path).sequences == SEQUENCES


@pytest.mark.parametrize("form", WRITERS)
def test_a_byte_order_mark_is_no_part_of_any_file(form: str, tmp_path: Path) -> None:
    WRITERS[form](tmp_path)
    expected = read(FORMATS[form], tmp_path).sequences
    for file in tmp_path.iterdir():
        data = file.read_bytes()
        text = gzip.decompress(data) if file.suffix == ".gz" else data
        marked = b"\xef\xbb\xbf" + text
        file.write_bytes(gzip.compress(marked) if file.suffix == ".gz" else marked)
    assert read(FORMATS[form], tmp_path).sequences == expected


REVIEW = '{"reviewerID": "A1", "asin": "B000000001", "overall": 5.0, "unixReviewTime": 1}\n'


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ('{"reviewerID": "A1", "asin"\n', r"json:3: wanted a JSON object, got"),
        ("{'reviewerID': 'A1'}\n", r"json:3: single quotes: this is the loose JSON"),
        ("[1]\n", r"json:3: wanted a JSON object"),
        (REVIEW.replace("5.0", '"five"'), r"json:3: field overall: wanted a number, got 'five'"),
        (REVIEW.replace("5.0", '"nan"'), r"json:3: field overall: wanted a number, got 'nan'"),
        (REVIEW.replace('"A1"', '" "'), r"json:3: field reviewerID is missing or empty"),
        (REVIEW.replace("unixReviewTime", "time"), r"json:3: field unixReviewTime is missing"),
    ],
)
def test_a_malformed_review_is_named_with_line_and_field(
    tmp_path: Path, bad: str, message: str
) -> None:
    amazon_2018(tmp_path)
    (tmp_path / "Video_Games_5.json.gz").unlink()
    write(tmp_path / "Video_Games_5.json", REVIEW + "\n" + bad + REVIEW)
    with pytest.raises(InputError, match=message):
        read("amazon-2018", tmp_path)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("games.inter", "user\titem\nA1\tB\n", r"games\.inter:1: wanted a header like"),
        ("games.inter", "user_id:token\titem_id_list:token_seq\n", "--source llmrank"),
        ("games.inter", "user_id:token\trating:float\nA\t1\n", "no field item_id in the header"),
        ("games.inter", "user_id:token\titem_id:token\nA\n", r"inter:2: wanted 2 fields .*, got 1"),
        ("games.inter", "user_id:token\titem_id:token\nA\tB\tC\n", r"inter:2: wanted 2 fields"),
        ("games.inter", "user_id:token\titem_id:token\nA\t\n", r"inter:2: field item_id:token is"),
        ("games.inter", "user_id:token\titem_id:token\n", "no interactions in it"),
        (
            "games.inter",
            "user_id:token\tuser_id:token\titem_id:token\n",
            "two fields are named user_id",
        ),
        ("games.item", "item_id:token\ttitle:token_seq\nB\n", r"item:2: wanted 2 fields"),
        ("games.inter", "", r"games\.inter:1: wanted a header like item_id:token, got ''"),
        ("games.item", "item_id:token\nB\n", r"item:1: no field title or item_title"),
        ("games.item", "item_id:token\ttitle:token_seq\n\tHalo\n", r"item:2: field item_id:token"),
    ],
)
def test_a_malformed_atomic_file_is_named_with_line_and_field(
    tmp_path: Path, file: str, text: str, message: str
) -> None:
    recbole(tmp_path)
    (tmp_path / file).write_text(text)
    with pytest.raises(InputError, match=message):
        read("recbole", tmp_path)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("Games.inter.json", '{"a": [1],\n"b": [2}', r"inter\.json:2: "),
        ("Games.inter.json", "[]", r"inter\.json:1: wanted one JSON object, got list"),
        ("Games.inter.json", '{"a": [1], "a": [2]}', r"inter\.json: 'a' comes a second time"),
        ("Games.inter.json", "[" * 9999, r"inter\.json: .*recursion.*; wanted one JSON object"),
        ("Games.inter.json", '{"a": [true]}', r"user 'a': wanted a list of items, got \[True\]"),
        (
            "Games.inter.json",
            '{"\\u0007": [1]}',
            r"position 0: field user holds the character U\+0007",
        ),
        ("Games.inter.json", '{"a": [1, ""]}', r"user 'a', position 1: field item is missing"),
        ("Games.item.json", '{"": {"title": "x"}}', r"item '': field id is missing or empty"),
        ("Games.inter.json", '{"a": 3}', r"user 'a': wanted a list of items, got 3"),
        ("Games.item.json", '{"1": "x"}', r"item '1': wanted an object, got 'x'"),
        ("Games.item.json", '{"1": {"title": 5}}', r"item '1': field title: wanted text, got 5"),
    ],
)
def test_malformed_lcrec_files_are_named(
    tmp_path: Path, file: str, text: str, message: str
) -> None:
    lcrec(tmp_path)
    (tmp_path / file).write_text(text)
    with pytest.raises(InputError, match=message):
        read("lcrec", tmp_path)


@pytest.mark.parametrize("form", WRITERS)
def test_a_folder_may_be_called_anything(form: str, tmp_path: Path) -> None:
    folder = tmp_path / "a [1] * \u2665"
    folder.mkdir()
    data = read(FORMATS[form], WRITERS[form](folder))
    assert len(data.sequences) == len(SEQUENCES)


def test_missing_or_ambiguous_files_are_said(tmp_path: Path) -> None:
    for source, wanted in (("amazon-2023", "reviews"), ("recbole", ".inter"), ("lcrec", ".inter")):
        with pytest.raises(InputError, match=f"wanted one .*{wanted}.* found none"):
            READERS[source](tmp_path)  # type: ignore[index]
        with pytest.raises(InputError, match="no file"):
            READERS[source](tmp_path / "nowhere")  # type: ignore[index]
    amazon_2018(tmp_path)
    amazon_2018_csv(tmp_path)
    with pytest.raises(InputError, match=r"found Video_Games\.csv, Video_Games_5\.json\.gz; give"):
        READERS["amazon-2018"](tmp_path)
    assert read("amazon-2018", tmp_path / "Video_Games.csv").sequences == SEQUENCES
    for meta in tmp_path.glob("meta_*"):
        meta.unlink()
    with pytest.raises(InputError, match="no metadata beside"):
        READERS["amazon-2018"](tmp_path / "Video_Games.csv")


def test_a_gzip_that_is_cut_off_is_said(tmp_path: Path) -> None:
    amazon_2018(tmp_path)
    whole = gzip.compress(REVIEW.encode() * 5000, compresslevel=0)
    (tmp_path / "Video_Games_5.json.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"cannot read .*Video_Games_5\.json\.gz"):
        read("amazon-2018", tmp_path)


def test_bytes_that_are_no_text_are_said(tmp_path: Path) -> None:
    recbole(tmp_path)
    (tmp_path / "games.inter").write_bytes(b"user_id:token\titem_id:token\nA\t\xff\xfe\n")
    with pytest.raises(InputError, match=r"games\.inter:2: byte 3 of the line, 0xFF, is not UTF-8"):
        read("recbole", tmp_path)
