"""The files that RUCAIBox/LLMRank publishes. They are cleaned already: a data set comes out."""

from collections.abc import Iterator
from pathlib import Path

from lrgd.agents.values import Item
from lrgd.core.errors import InputError
from lrgd.evals.data.datasets import DataSet
from lrgd.evals.data.texts import clean_title


def read_llmrank(folder: Path, name: str = "Games") -> DataSet:
    """The files that RUCAIBox/LLMRank publishes: `NAME.item` and `NAME.test.inter`.

    Tab separated with a header line. Titles are unescaped twice over, since some were escaped
    twice. The sequences are already 5-core and in time order.

    Raises:
        InputError: a file is missing or malformed; names file, line and field.
    """
    items = {}
    path = folder / f"{name}.item"
    for line, (item_id, title) in _rows(path, ["item_id:token", "title:token_seq"]):
        if item_id in items:
            raise InputError(f"{path}:{line}: item_id {item_id!r} comes a second time")
        items[item_id] = Item(item_id, clean_title(title))
    sequences = {}
    path = folder / f"{name}.test.inter"
    header = ["user_id:token", "item_id_list:token_seq", "item_id:token"]
    for line, (user_id, history, target) in _rows(path, header):
        sequence = (*history.split(), target)
        if unknown := [i for i in sequence if i not in items]:
            raise InputError(f"{path}:{line}: item_id {unknown[0]!r} is not in {name}.item")
        if user_id in sequences:
            raise InputError(f"{path}:{line}: user_id {user_id!r} comes a second time")
        sequences[user_id] = sequence
    return DataSet(f"llmrank-{name.lower()}", items, sequences)


def _rows(path: Path, header: list[str]) -> Iterator[tuple[int, list[str]]]:
    """Numbered rows of a tab-separated file whose first line is `header`."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}: {error}; wanted a UTF-8 file of LLMRank") from error
    lines = text.split("\n")
    if lines[0].rstrip("\r").split("\t") != header:
        raise InputError(f"{path}:1: wanted the header {header}, got {lines[0][:80]!r}")
    for number, line in enumerate(lines[1:], start=2):
        if not line:
            continue
        fields = line.rstrip("\r").split("\t")
        if len(fields) != len(header):
            raise InputError(f"{path}:{number}: wanted {len(header)} fields, got {len(fields)}")
        for name, value in zip(header, fields, strict=True):
            if not value.strip():
                raise InputError(f"{path}:{number}: field {name} is empty")
        yield number, fields
