"""Files that a person asked for."""

from pathlib import Path

from lrgd.core.text import whole_characters


def write_over(path: Path, text: str) -> Path:
    """Write a file, over one that is there; its folder is made.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(whole_characters(text), "utf-8")
    return path


def write_new(folder: Path, stem: str, suffix: str, text: str) -> Path:
    """Write `stem-N` with the first number that is free.

    Raises:
        OSError: it cannot be written.
    """
    n = 1
    while (path := folder / f"{stem}-{n}{suffix}").exists():
        n += 1
    return write_over(path, text)
