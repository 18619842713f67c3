"""Text files line by line: UTF-8, with or without a byte order mark, plain or gzip.

Anything else is refused with one line that says what it is.
"""

import codecs
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from lrgd.core.errors import InputError

_GZIP = b"\x1f\x8b"
_PACKED = {
    b"PK\x03\x04": "a zip",
    b"\x28\xb5\x2f\xfd": "a zstd",
    b"BZh": "a bzip2",
    b"\xfd7z": "an xz",
}
_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}  # the longer mark first: it begins with the shorter one


def lines_of(path: Path) -> Iterator[tuple[int, str]]:
    """A text file's lines with their ends, numbered from 1, without a byte order mark.

    Raises:
        InputError: no such file, it cannot be read, its gzip is damaged, or it is no UTF-8: then
            the line and its first wrong byte are named.
    """
    number = 0
    try:
        with opened(path) as file:
            for number, line in enumerate(file, start=1):
                yield number, line.decode()
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise InputError(
            f"{path}:{number}: byte {error.start + 1} of the line, 0x{byte:02X}, is not UTF-8; "
            "convert the file, if it is Latin-1 with `iconv -f LATIN1 -t UTF-8`"
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"cannot read {path}: {error}; wanted UTF-8, plain or gzip") from error


@contextmanager
def opened(path: Path) -> Iterator[BufferedReader | gzip.GzipFile]:
    """A text file's bytes, after a byte order mark. Raises InputError, OSError, EOFError."""
    existing(path)
    with path.open("rb") as raw:
        packed = raw.read(4)
    for magic, kind in _PACKED.items():
        if packed.startswith(magic):
            raise InputError(f"{path} is {kind} archive; wanted text, plain or gzip: unpack it")
    # By content, as polars does, not by the file's name.
    unpack = gzip.open if packed.startswith(_GZIP) else open
    with unpack(path, "rb") as file:
        head = file.read(4)
        _refuse_wide(path, head)
        file.seek(len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0)
        yield file


def existing(path: Path) -> Path:
    """The path, if a file is there. Raises InputError."""
    if not path.is_file():
        raise InputError(f"no file {path}")
    return path


def _refuse_wide(path: Path, head: bytes) -> None:
    """Refuse UTF-16 and UTF-32; without a mark, ASCII in it has a zero byte beside each letter."""
    kind = next((kind for mark, kind in _MARKS.items() if head.startswith(mark)), None)
    if kind or [byte == 0 for byte in head] in ([False, True] * 2, [True, False] * 2):
        kind = kind or "UTF-16"
        raise InputError(
            f"{path} looks like {kind}; wanted UTF-8: convert it with `iconv -f {kind} -t UTF-8`"
        )
