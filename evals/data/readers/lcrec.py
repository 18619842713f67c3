"""LC-Rec's JSON: `NAME.inter.json`, {user: [item, ...]} in time order, and `NAME.item.json`.

Source: Zheng et al. (arXiv 2311.09049), https://github.com/RUCAIBox/LC-Rec.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from math import isnan
from pathlib import Path
from typing import Any

from lrgd.core.errors import InputError
from lrgd.evals.data.readers.lines import existing, lines_of
from lrgd.evals.data.readers.source import INTERACTION, ITEM, Source, slug
from lrgd.evals.data.readers.table import Record, Table, Where

_END = ".inter.json"


def read_lcrec(path: Path) -> Source:
    """A folder with one `NAME.inter.json` and its `NAME.item.json`, or the former file itself.

    Raises:
        InputError: a file is missing or malformed; names file and line, or user, item and field.
    """
    files = sorted(path.glob(f"*{_END}")) if path.is_dir() else [existing(path)]
    if len(files) != 1 or not files[0].name.endswith(_END):
        names = ", ".join(file.name for file in files) or "none"
        raise InputError(f"{path}: wanted one *{_END}, found {names}; give it as --path")
    name = files[0].name.removesuffix(_END)
    about = files[0].with_name(f"{name}.item.json")
    return Source(
        name=slug("lcrec", name),
        interactions=_table(files[0], _interactions, ("user", "item", "time"), INTERACTION),
        items=_table(about, _items, ITEM, ITEM),
    )


def _table(
    path: Path,
    records: Callable[[Path], Iterator[tuple[Where, Record]]],
    fields: tuple[str, ...],
    columns: tuple[str, ...],
) -> Table:
    return Table(path, {name: name for name in fields}, columns, lambda: records(path))


def _interactions(path: Path) -> Iterator[tuple[Where, Record]]:
    for user, items in _object(path).items():
        if not isinstance(items, list) or not all(_is_id(item) for item in items):
            raise InputError(f"{path}: user {user!r}: wanted a list of items, got {items!r:.60}")
        for position, item in enumerate(items):
            record = {"user": user, "item": str(item), "time": str(position)}
            yield f" user {user!r}, position {position}", record


def _items(path: Path) -> Iterator[tuple[Where, Record]]:
    for item, about in _object(path).items():
        if not isinstance(about, dict):
            raise InputError(f"{path}: item {item!r}: wanted an object, got {about!r:.60}")
        texts = {field: _text(path, item, field, about.get(field)) for field in ITEM[1:]}
        yield f" item {item!r}", {"id": item, **texts}


def _is_id(value: object) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _text(path: Path, item: str, field: str, value: object) -> str | None:
    """A text as it is, a list as its JSON text; NaN, which pandas writes, is missing."""
    if value is None or (isinstance(value, float) and isnan(value)):
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return json.dumps(value)
    raise InputError(f"{path}: item {item!r}: field {field}: wanted text, got {value!r:.60}")


def _object(path: Path) -> dict[str, Any]:
    text = "".join(line for _, line in lines_of(path))
    try:
        value = json.loads(text, object_pairs_hook=_distinct)
    except json.JSONDecodeError as error:
        raise InputError(f"{path}:{error.lineno}: {error.msg}; wanted one JSON object") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: {error}; wanted one JSON object") from error
    if not isinstance(value, dict):
        raise InputError(f"{path}:1: wanted one JSON object, got {type(value).__name__}")
    return value


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object, in which no key may come twice: the earlier user or item would be lost."""
    value = dict(pairs)
    if len(value) < len(pairs):
        [(key, _)] = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"{key!r} comes a second time")
    return value
