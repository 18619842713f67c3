"""LC-Rec's JSON: `NAME.inter.json`, {user: [item, ...]} in time order, and `NAME.item.json`.

Source: Zheng et al. (arXiv 2311.09049), https://github.com/RUCAIBox/LC-Rec.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from lrgd.core.errors import InputError
from lrgd.evals.data.readers.lines import existing
from lrgd.evals.data.readers.source import INTERACTION, ITEM, Source, slug

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
    interactions, items = list(_interactions(files[0])), list(_items(about))
    text = pl.String()
    return Source(
        name=slug("lcrec", name),
        files=(files[0], about),
        interactions=pl.LazyFrame(interactions, dict.fromkeys(INTERACTION, text), orient="row"),
        items=pl.LazyFrame(items, dict.fromkeys(ITEM, text), orient="row"),
        required=("user", "item", "time"),
        fault=lambda: None,
    )


def _interactions(path: Path) -> Iterator[tuple[str, str, str, None]]:
    for user, items in _object(path).items():
        if not isinstance(items, list) or not all(isinstance(i, str | int) for i in items):
            raise InputError(f"{path}: user {user!r}: wanted a list of items, got {items!r:.60}")
        for position, item in enumerate(items):
            yield user, str(item), str(position), None


def _items(path: Path) -> Iterator[tuple[str | None, ...]]:
    for item, about in _object(path).items():
        if not isinstance(about, dict):
            raise InputError(f"{path}: item {item!r}: wanted an object, got {about!r:.60}")
        yield (item, *(_text(path, item, field, about.get(field)) for field in ITEM[1:]))


def _text(path: Path, item: str, field: str, value: object) -> str | None:
    if value is None or isinstance(value, str):
        return (value or "").strip() or None
    if isinstance(value, list):
        return json.dumps(value)
    raise InputError(f"{path}: item {item!r}: field {field}: wanted text, got {value!r:.60}")


def _object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(existing(path).read_text("utf-8"))
    except json.JSONDecodeError as error:
        raise InputError(f"{path}:{error.lineno}: {error.msg}; wanted one JSON object") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}: {error}") from error
    if not isinstance(value, dict):
        raise InputError(f"{path}:1: wanted one JSON object, got {type(value).__name__}")
    return value
