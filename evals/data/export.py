"""A bundle for other tools: the identical users, histories, candidates and order.

`csv`: four files that anything reads. `recbole`: RecBole's atomic files, split already, so that
its sequential models train and rank on the same users. Each folder has a README.md that says how.
"""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from jinja2 import Environment, PackageLoader, StrictUndefined

from lrgd.agents.values import Item
from lrgd.core.errors import InputError
from lrgd.core.text import one_line, unusable_id
from lrgd.evals.data.bundle import Bundle, BundleUser, FrozenTask, whole_folder

Target = Literal["recbole", "csv"]
Row = Sequence[str | int]

_TEMPLATES = Environment(loader=PackageLoader("lrgd.evals.data"), undefined=StrictUndefined)

SPLITS = {"valid": "validation", "test": "test"}
"""RecBole's name of a split -> ours."""


def export(bundle: Bundle, to: Target, folder: Path) -> list[Path]:
    """Write the bundle in another tool's form; returns the files.

    Raises:
        InputError: the folder exists, or an id cannot be written in that form.
    """
    if folder.exists():
        raise InputError(f"{folder} is there already: delete it or name another --out")
    _refuse_ids([*bundle.items, *bundle.users], blanks=to == "csv")
    with whole_folder(folder) as draft:
        EXPORTERS[to](bundle, draft, folder.name)
    return sorted(folder.iterdir())


def _to_csv(bundle: Bundle, folder: Path, name: str) -> None:
    items: Iterable[Row] = (
        (i.id, i.title, i.brand, json.dumps(i.categories, ensure_ascii=False), i.description)
        for i in _items(bundle)
    )
    histories: Iterable[Row] = (
        (user.user_id, split, position, item)
        for user, split, task in _tasks(bundle)
        for position, item in enumerate(task.history)
    )
    candidates: Iterable[Row] = (
        (user.user_id, split, position, item, int(item == task.target))
        for user, split, task in _tasks(bundle)
        for position, item in enumerate(task.candidates)
    )
    about = ["item_id", "title", "brand", "categories", "description"]
    place = ["user_id", "split", "position", "item_id"]
    _write_csv(folder / "items.csv", about, items)
    _write_csv(folder / "histories.csv", place, histories)
    _write_csv(folder / "candidates.csv", [*place, "is_target"], candidates)
    _write_text(folder / "README.md", "export_csv.md", bundle, name)


def _to_recbole(bundle: Bundle, folder: Path, name: str) -> None:
    header = ["item_id:token", "title:token_seq", "brand:token", "categories:token_seq"]
    _write_tabs(
        folder / f"{name}.item",
        header,
        ((i.id, i.title, i.brand, ", ".join(i.categories)) for i in _items(bundle)),
    )
    sequential = ["user_id:token", "item_id_list:token_seq", "item_id:token"]
    _write_tabs(folder / f"{name}.train.inter", sequential, _prefixes(bundle))
    for theirs, ours in SPLITS.items():
        tasks = [(user.user_id, t) for user, split, t in _tasks(bundle) if split == ours]
        for suffix, listed in (("inter", "history"), ("candidates", "candidates")):
            rows = ((user, " ".join(getattr(task, listed)), task.target) for user, task in tasks)
            _write_tabs(folder / f"{name}.{theirs}.{suffix}", sequential, rows)
    _write_text(folder / f"{name}.yaml", "export_recbole.yaml", bundle, name)
    _write_text(folder / "README.md", "export_recbole.md", bundle, name)


EXPORTERS: dict[Target, Callable[[Bundle, Path, str], None]] = {
    "csv": _to_csv,
    "recbole": _to_recbole,
}


def _prefixes(bundle: Bundle) -> Iterator[Row]:
    """What a model may train on: in the earliest validation history, every item after others."""
    for user in bundle.users.values():
        history = (user.validation, *user.earlier)[-1].history
        for end in range(1, len(history)):
            yield user.user_id, " ".join(history[:end]), history[end]


def _items(bundle: Bundle) -> Iterator[Item]:
    """The items, each text on one line: a bundle may be older than that rule, or made by hand."""
    for item in bundle.items.values():
        texts = {name: one_line(getattr(item, name)) for name in ("title", "brand", "description")}
        yield replace(item, **texts, categories=tuple(map(one_line, item.categories)))


def _tasks(bundle: Bundle) -> Iterator[tuple[BundleUser, str, FrozenTask]]:
    for user in bundle.users.values():
        yield user, "validation", user.validation
        for n, task in enumerate(user.earlier, start=1):
            yield user, f"validation {n}", task
        yield user, "test", user.test


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def _write_tabs(path: Path, header: Sequence[str], rows: Iterable[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in (header, *rows):
            # RecBole reads with pandas, to which a double quote opens a field that may not end.
            file.write("\t".join(map(str, row)).replace('"', "'") + "\n")


def _write_text(path: Path, template: str, bundle: Bundle, name: str) -> None:
    made_by, name = json.dumps(bundle.made_by, indent=2), one_line(name)
    text = _TEMPLATES.get_template(template).render(bundle=bundle, name=name, made_by=made_by)
    path.write_text(text + "\n", "utf-8", newline="\n")


def _refuse_ids(ids: Iterable[str], *, blanks: bool) -> None:
    """Raise InputError for an id that no file may hold; without `blanks`, also for one that
    RecBole would cut at a blank or take for the beginning of a quoted field."""
    for one in ids:
        if why := unusable_id(one):
            raise InputError(f"the id {one!r} {why}: prepare the bundle anew")
        if not blanks and any(c.isspace() or c == '"' for c in one):
            raise InputError(f"RecBole cannot hold the id {one!r}: use --to csv")
