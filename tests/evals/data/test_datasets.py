from pathlib import Path

import pytest

from lrgd.core.errors import InputError
from lrgd.evals.data.item_texts import unescaped
from lrgd.evals.data.readers.llmrank import read_llmrank

ITEMS = "item_id:token\ttitle:token_seq\n0\tFire &amp; Ice\n1\tTom &amp;amp; Jerry  II\n2\tHalo\n"
USERS = "user_id:token\titem_id_list:token_seq\titem_id:token\nu\t0 1\t2\n"


def write(folder: Path, items: str = ITEMS, users: str = USERS) -> Path:
    (folder / "Games.item").write_text(items, "utf-8")
    (folder / "Games.test.inter").write_text(users, "utf-8")
    return folder


def test_titles_are_unescaped_and_the_target_ends_the_sequence(tmp_path: Path) -> None:
    data = read_llmrank(write(tmp_path))
    assert [i.title for i in data.items.values()] == ["Fire & Ice", "Tom & Jerry II", "Halo"]
    assert data.sequences == {"u": ("0", "1", "2")}


def test_a_title_with_line_separators_stays_one_line(tmp_path: Path) -> None:
    assert unescaped("a\u2028b\x85c") == "a b c"


@pytest.mark.parametrize(
    ("items", "users", "message"),
    [
        ("id\ttitle\n", USERS, r"Games\.item:1: wanted the header"),
        (ITEMS + "3\n", USERS, r"Games\.item:5: wanted 2 fields, got 1"),
        (ITEMS + "3\t \n", USERS, r"Games\.item:5: field title:token_seq is missing"),
        (ITEMS + "3\tNone\n", USERS, r"Games\.item:5: field title:token_seq is empty: 'None'"),
        (ITEMS + "3\u202e\tDoom\n", USERS, r"Games\.item:5: field item_id:token holds the char"),
        (ITEMS, USERS + "v\x00\t0 1\t2\n", r"inter:3: field user_id:token holds the character U"),
        (ITEMS + "2\tHalo\n", USERS, r"Games\.item:5: item_id '2' comes a second time"),
        (ITEMS, USERS + "v\t0 9\t1\n", r"Games\.test\.inter:3: item_id '9' is not in"),
        (ITEMS, USERS + "u\t0 1\t2\n", r"Games\.test\.inter:3: user_id 'u' comes a second"),
    ],
)
def test_a_malformed_file_is_named_with_line_and_field(
    tmp_path: Path, items: str, users: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read_llmrank(write(tmp_path, items, users))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read .*Games\.item"):
        read_llmrank(tmp_path)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "Games.item").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="looks like UTF-16"):
        read_llmrank(tmp_path)
    (tmp_path / "Games.item").write_bytes(ITEMS.replace("Halo", "José").encode("latin-1"))
    with pytest.raises(InputError, match=r"Games\.item:4: byte 6 of the line, 0xE9"):
        read_llmrank(tmp_path)
    (tmp_path / "Games.item").write_text("\ufeff" + ITEMS, "utf-8")
    assert len(read_llmrank(tmp_path).items) == 3


@pytest.mark.shared
def test_the_games_files_are_read_whole(games: Path) -> None:
    data = read_llmrank(games)
    assert (len(data.items), len(data.sequences)) == (16_859, 47_546)
    assert not any("&amp;" in item.title for item in data.items.values())
