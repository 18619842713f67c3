"""The files that RUCAIBox/LLMRank publishes. They are cleaned already: a data set comes out."""

from collections.abc import Iterator
from pathlib import Path

from lrgd.agents.values import Item
from lrgd.core.errors import InputError
from lrgd.core.text import unusable_id
from lrgd.evals.data.datasets import DataSet
from lrgd.evals.data.item_texts import MISSING, unescaped
from lrgd.evals.data.readers.separated import Dialect

TABS = Dialect("\t")


def read_llmrank(folder: Path, name: str = "Games") -> DataSet:
    """The files that RUCAIBox/LLMRank publishes: `NAME.item` and `NAME.test.inter`.

    Tab separated with a header line. Titles are unescaped twice over, since some were escaped
    twice. The sequences are already 5-core and in time order.

    Raises:
        InputError: a file is missing or malformed; names file, line and field.
    """
    items = {}
    for path in (folder / f"{name}.item", folder / f"{name}.test.inter"):
        if not path.is_file():
            raise InputError(f"cannot read {path}: no such file; wanted LLMRank's, or --source")
    path = folder / f"{name}.item"
    for line, (item_id, raw) in _rows(path, ["item_id:token", "title:token_seq"]):
        if item_id in items:
            raise InputError(f"{path}:{line}: item_id {item_id!r} comes a second time")
        title = unescaped(raw)
        if title in MISSING:
            raise InputError(f"{path}:{line}: field title:token_seq is empty: {raw[:40]!r}")
        items[item_id] = Item(item_id, title)
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
    rows = TABS.rows(path)
    line, first = next(rows, (1, []))
    if first != header:
        shown = "\t".join(first)[:80]
        raise InputError(f"{path}:{line}: wanted the header {header}, got {shown!r}")
    for line, row in rows:
        if len(row) != len(header):
            raise InputError(f"{path}:{line}: wanted {len(header)} fields, got {len(row)}")
        values = [value.strip() for value in row]
        for name, value in zip(header, values, strict=True):
            # A title may hold what no id may, a list of ids consists of known ones.
            why = unusable_id(value) if name.endswith(":token") or not value else None
            if why:
                raise InputError(f"{path}:{line}: field {name} {why}")
        yield line, values
