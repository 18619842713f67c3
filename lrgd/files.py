"""Files that a person asked for."""

from pathlib import Path

from lrgd.core.errors import InputError


def write_over(path: Path, text: str) -> Path:
    """Write a file, over one that is there; its folder is made.

    Raises:
        InputError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error
    return path


def write_new(folder: Path, stem: str, suffix: str, text: str) -> Path:
    """Write `stem-N` with the first number that is free.

    Raises:
        InputError: it cannot be written.
    """
    n = 1
    while (path := folder / f"{stem}-{n}{suffix}").exists():
        n += 1
    return write_over(path, text)
