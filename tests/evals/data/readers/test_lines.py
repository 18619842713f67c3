import bz2
import gzip
from pathlib import Path

import pytest

from lrgd.core.errors import InputError
from lrgd.evals.data.readers.lines import lines_of

TEXT = "user\titem\nÅsa\t\u2028\r\nend"
LINES = [(1, "user\titem\n"), (2, "Åsa\t\u2028\r\n"), (3, "end")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("name", ["a.txt", "a.gz"])
@pytest.mark.parametrize("packed", [True, False])
def test_utf8_is_read_with_and_without_its_mark_packed_or_not(
    tmp_path: Path, encoding: str, name: str, packed: bool
) -> None:
    data = TEXT.encode(encoding)
    (tmp_path / name).write_bytes(gzip.compress(data) if packed else data)
    assert list(lines_of(tmp_path / name)) == LINES


@pytest.mark.parametrize(
    ("encoding", "kind"),
    [
        ("utf-16", "UTF-16"),
        ("utf-16-le", "UTF-16"),
        ("utf-16-be", "UTF-16"),
        ("utf-32", "UTF-32"),
    ],
)
def test_wide_encodings_are_refused_in_a_line_that_says_so(
    tmp_path: Path, encoding: str, kind: str
) -> None:
    (tmp_path / "a").write_bytes(TEXT.encode(encoding))
    with pytest.raises(InputError, match=f"looks like {kind}; wanted UTF-8: convert it with"):
        list(lines_of(tmp_path / "a"))


def test_latin1_is_refused_with_line_and_byte(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes("user\nJosé\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"a:2: byte 4 of the line, 0xE9, is not UTF-8; .*LATIN1"):
        list(lines_of(tmp_path / "a"))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"PK\x03\x04more", "is a zip archive"),
        (bz2.compress(b"text"), "is a bzip2 archive"),
        (gzip.compress(b"x" * 9999, compresslevel=0)[:999], "cannot read"),
        (gzip.compress(b"x" * 99)[:14] + b"\x00" * 30, "cannot read"),
    ],
)
def test_other_archives_and_damaged_ones_are_said(tmp_path: Path, data: bytes, says: str) -> None:
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(InputError, match=says):
        list(lines_of(tmp_path / "a"))


def test_what_is_no_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file"):
        list(lines_of(tmp_path / "a"))
    (tmp_path / "empty").touch()
    assert list(lines_of(tmp_path / "empty")) == []
