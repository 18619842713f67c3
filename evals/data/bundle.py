"""A bundle: users, histories, candidates and their order, frozen under a content hash.

A folder: `manifest.json` says how it was made, `items.jsonl` and `users.jsonl` hold the tasks, and
two parquet files what a method may learn from (evals/data/training.py). Every method ranks the same
bundle. Bundles of format 2 have no training part: they are read, and keep their hash.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from lrgd.agents.values import Item, Prior, RankingTask
from lrgd.core.errors import InputError
from lrgd.evals.data.training import Training, load_training

FORMAT = 3
WITHOUT_TRAINING = 2
FILES = ("items.jsonl", "users.jsonl")

Split = Literal["validation", "test"]


@dataclass(frozen=True, slots=True)
class FrozenTask:
    """One ranking task, by item ids."""

    history: tuple[str, ...]
    candidates: tuple[str, ...]
    target: str


@dataclass(frozen=True, slots=True)
class BundleUser:
    """One user: the task that choices are made on, and the one that counts."""

    user_id: str
    validation: FrozenTask
    test: FrozenTask
    profile: str = ""
    earlier: tuple[FrozenTask, ...] = ()
    """Further validation tasks, the latest first: their targets lie before `validation`'s."""


@dataclass(frozen=True)
class Bundle:
    """Frozen users and the items they need."""

    name: str
    made_by: dict[str, Any]
    """Source, seed, candidates, history length, strategy, and what was left out."""
    items: dict[str, Item]
    users: dict[str, BundleUser]
    popularity: dict[str, int] = field(default_factory=dict)
    """Item id -> its interactions in the training part; in format 2, of all users before their
    targets."""
    training: Training | None = None
    """What a method may learn from; None in a bundle of format 2."""
    prior: Callable[[RankingTask], Prior] | None = field(default=None, compare=False)
    """What a task brings as its prior; no part of the content."""

    def task(self, user_id: str, split: Split) -> RankingTask:
        """A user's task. Raises InputError for a user who is not in the bundle."""
        user = self.user(user_id)
        return self._task(user, user.validation if split == "validation" else user.test)

    def earlier_tasks(self, user_id: str) -> list[RankingTask]:
        """A user's further validation tasks, the latest first."""
        user = self.user(user_id)
        return [self._task(user, frozen) for frozen in user.earlier]

    def _task(self, user: BundleUser, frozen: FrozenTask) -> RankingTask:
        task = RankingTask(
            user_id=user.user_id,
            history=tuple(self.items[i] for i in frozen.history),
            candidates=tuple(self.items[i] for i in frozen.candidates),
            target_id=frozen.target,
            profile=user.profile,
        )
        return replace(task, prior=self.prior(task)) if self.prior else task

    def user(self, user_id: str) -> BundleUser:
        try:
            return self.users[user_id]
        except KeyError:
            some = ", ".join(list(self.users)[:5])
            raise InputError(
                f"no user {user_id!r} in bundle {self.name!r} of {len(self.users)} users; "
                f"some that are: {some}"
            ) from None

    @cached_property
    def sha256(self) -> str:
        """Hash of manifest and content, the same on every machine."""
        return _digest(self._about(), *(self._content()[name] for name in FILES))

    def save(self, folder: Path) -> None:
        """Write the bundle; one that is there already with the same content stays.

        Raises:
            InputError: something else is at `folder`.
        """
        if folder.exists():
            if (
                not (folder / "manifest.json").is_file()
                or load_bundle(folder).sha256 != self.sha256
            ):
                raise InputError(f"{folder} holds something else: delete it or name another --out")
            return
        # Whole or not at all: a bundle is read by its hash, half a one would be refused for ever.
        with whole_folder(folder) as draft:
            manifest = {**self._about(), "sha256": self.sha256}
            (draft / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", "utf-8")
            for name, text in self._content().items():
                (draft / name).write_text(text, "utf-8", newline="\n")
            for name, content in self.training.files() if self.training else ():
                (draft / name).write_bytes(content)

    def _about(self) -> dict[str, Any]:
        return {
            "format": FORMAT if self.training else WITHOUT_TRAINING,
            "name": self.name,
            "made_by": self.made_by,
            "users": len(self.users),
            "items": len(self.items),
            **({"training": self.training.about()} if self.training else {}),
        }

    def _content(self) -> dict[str, str]:
        items = (
            {**asdict(self.items[i]), "popularity": self.popularity.get(i, 0)}
            for i in sorted(self.items)
        )
        return {
            "items.jsonl": _lines(items),
            "users.jsonl": _lines(_user_row(user) for user in self.users.values()),
        }


def load_bundle(folder: Path) -> Bundle:
    """Read a bundle and check its hash.

    Raises:
        InputError: it is missing, malformed, of another format, or was changed.
    """
    try:
        about = json.loads((folder / "manifest.json").read_text("utf-8"))
        items_text, users_text = ((folder / name).read_text("utf-8") for name in FILES)
    except (OSError, ValueError) as error:
        raise InputError(
            f"no bundle at {folder}: {error}; make one with `lrgd data prepare` or `sample`"
        ) from error
    if not isinstance(about, dict) or about.get("format") not in (WITHOUT_TRAINING, FORMAT):
        raise InputError(
            f"{folder}: wanted a bundle of format {FORMAT} or {WITHOUT_TRAINING}; make it anew"
        )
    wanted = about.pop("sha256", None)
    _same(folder, _digest(about, items_text, users_text), wanted)
    training = load_training(folder) if about["format"] == FORMAT else None
    if training:
        _same(folder, training.sha256, about["training"]["sha256"])
    item_rows = [json.loads(line) for line in items_text.splitlines()]
    popularity = {row["id"]: row.pop("popularity") for row in item_rows}
    items = [_item(row) for row in item_rows]
    users = [_user(json.loads(line)) for line in users_text.splitlines()]
    return Bundle(
        name=about["name"],
        made_by=about["made_by"],
        items={item.id: item for item in items},
        users={user.user_id: user for user in users},
        popularity=popularity,
        training=training,
    )


def _same(folder: Path, actual: str, wanted: object) -> None:
    if actual != wanted:
        raise InputError(f"{folder} was changed: its hash is {actual}, not {wanted}; make it anew")


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """An empty draft beside `folder`, moved there when the block ends without an error.

    Raises:
        OSError: a folder that is not empty is there already.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        yield draft
        draft.chmod(0o755)
        os.replace(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _digest(about: dict[str, Any], *texts: str) -> str:
    parts = [json.dumps(about, sort_keys=True), *texts]
    return hashlib.sha256("\x00".join(parts).encode()).hexdigest()


def _lines(rows: Iterable[dict[str, Any]]) -> str:
    # ASCII only: str.splitlines would break a title at U+2028.
    return "".join(json.dumps(row, sort_keys=True) + "\n" for row in rows)


def _user_row(user: BundleUser) -> dict[str, Any]:
    row = asdict(user)
    if not user.earlier:  # a bundle of one validation task a user keeps its hash
        del row["earlier"]
    return row


def _item(row: dict[str, Any]) -> Item:
    return Item(**{**row, "categories": tuple(row["categories"])})


def _user(row: dict[str, Any]) -> BundleUser:
    return BundleUser(
        row["user_id"],
        _task(row["validation"]),
        _task(row["test"]),
        row["profile"],
        tuple(map(_task, row.get("earlier", ()))),
    )


def _task(row: dict[str, Any]) -> FrozenTask:
    return FrozenTask(tuple(row["history"]), tuple(row["candidates"]), row["target"])
