"""RecBole's atomic files: `NAME.inter` and `NAME.item`, tab separated under a typed header.

Source: https://recbole.io/docs/user_guide/data/atomic_files.html.
"""

from itertools import islice
from pathlib import Path

import polars as pl

from lrgd.core.errors import InputError
from lrgd.evals.data.readers.lines import Lines, existing, numbered, separated
from lrgd.evals.data.readers.source import INTERACTION, ITEM, Source, as_text, slug

_INTER: dict[str, tuple[str, ...]] = {
    "user": ("user_id",),
    "item": ("item_id",),
    "time": ("timestamp",),
    "rating": ("rating",),
}
_ITEM: dict[str, tuple[str, ...]] = {
    "id": ("item_id",),
    "title": ("title", "item_title", "movie_title", "name"),
    "brand": ("brand", "store"),
    "categories": ("categories", "category", "class", "genres", "genre"),
    "description": ("description",),
}
_TYPES = {"token", "token_seq", "float", "float_seq"}


def read_recbole(path: Path) -> Source:
    """A folder with one `NAME.inter` and its `NAME.item`, or the `.inter` file itself.

    Without timestamps the order of the file is the order of time.

    Raises:
        InputError: a file is missing, or a header is not RecBole's or lacks user, item or title.
    """
    inter = _inter_file(path)
    interactions = _atomic(inter, _INTER, ("user", "item"))
    items = _atomic(existing(inter.with_suffix(".item")), _ITEM, ("id", "title"))
    required = tuple(name for name in INTERACTION if name in interactions.names)
    return Source(
        name=slug("recbole", inter.stem),
        files=(inter, items.path),
        interactions=as_text(interactions.frame, interactions.names, INTERACTION),
        items=as_text(items.frame, items.names, ITEM).with_columns(_categories()),
        required=required,
        fault=lambda: interactions.fault(required) or items.fault(["id"]),
    )


def _categories() -> pl.Expr:
    """A sequence of tokens, with commas; `'Video Games', 'PC'` stays as it stands."""
    raw = pl.col("categories")
    quoted = raw.str.contains(",") | raw.str.contains(r"""^['"\[]""")
    return pl.when(quoted).then(raw).otherwise(raw.str.replace_all(r"\s+", ","))


def _inter_file(path: Path) -> Path:
    files = sorted(path.glob("*.inter")) if path.is_dir() else [existing(path)]
    if len(files) != 1:
        names = ", ".join(file.name for file in files) or "none"
        raise InputError(f"{path}: wanted one .inter file, found {names}; give it as --path")
    return files[0]


def _atomic(path: Path, known: dict[str, tuple[str, ...]], needed: tuple[str, ...]) -> Lines:
    """The file, with those of the known columns that its header names."""
    first = next((line for _, line in islice(numbered(path), 1)), "")
    fields = first.rstrip("\r\n").split("\t")
    typed = dict(field.partition(":")[::2] for field in fields)
    if not set(typed.values()) <= _TYPES:
        raise InputError(f"{path}:1: wanted a header like item_id:token, got {first[:80]!r}")
    if "item_id_list" in typed:
        raise InputError(f"{path}:1: item_id_list is LLMRank's form: use --source llmrank")
    names = {
        ours: f"{name}:{typed[name]}"
        for ours, choices in known.items()
        if (name := next((choice for choice in choices if choice in typed), None))
    }
    for ours in needed:
        if ours not in names:
            raise InputError(f"{path}:1: no field {' or '.join(known[ours])} in the header")
    return separated(path, names, fields, "\t", header=1)
