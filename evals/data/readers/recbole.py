"""RecBole's atomic files: `NAME.inter` and `NAME.item`, tab separated under a typed header.

Source: https://recbole.io/docs/user_guide/data/atomic_files.html.
"""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from lrgd.core.errors import InputError
from lrgd.evals.data.readers.lines import existing
from lrgd.evals.data.readers.separated import Dialect, separated
from lrgd.evals.data.readers.source import INTERACTION, ITEM, Source, slug
from lrgd.evals.data.readers.table import Table

TABS = Dialect("\t")

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
    about = existing(inter.with_suffix(".item"))
    return Source(
        name=slug("recbole", inter.stem),
        interactions=_atomic(inter, _INTER, ("user", "item"), INTERACTION),
        items=_atomic(about, _ITEM, ("id", "title"), ITEM, _categories()),
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


def _atomic(
    path: Path,
    known: dict[str, tuple[str, ...]],
    needed: tuple[str, ...],
    columns: tuple[str, ...],
    *derived: pl.Expr,
) -> Table:
    """The file, with those of the known columns that its header names."""
    line, header = next(TABS.rows(path), (1, []))
    typed = dict(field.partition(":")[::2] for field in header)
    if not typed or not set(typed.values()) <= _TYPES:
        shown = "\t".join(header)[:80]
        raise InputError(f"{path}:{line}: wanted a header like item_id:token, got {shown!r}")
    if "item_id_list" in typed:
        raise InputError(f"{path}:{line}: item_id_list is LLMRank's form: use --source llmrank")
    if twice := [name for name in typed if _count(name, header) > 1]:
        raise InputError(f"{path}:{line}: two fields are named {twice[0]}: rename one")
    fields = {
        ours: f"{name}:{typed[name]}"
        for ours, choices in known.items()
        if (name := next((choice for choice in choices if choice in typed), None))
    }
    for ours in needed:
        if ours not in fields:
            raise InputError(f"{path}:{line}: no field {' or '.join(known[ours])} in the header")
    return separated(path, TABS, header, fields, columns, first=line + 1, derived=derived)


def _count(name: str, header: Sequence[str]) -> int:
    return sum(field.partition(":")[0] == name for field in header)
