"""The training part of a bundle: who bought what, before anybody's targets.

What a method may learn from. The rule: of a user of the bundle, what came before her earliest
target (validation targets included); of everybody else, all but the last two, which would be the
targets of another sample. So no target of anybody is in it, and the past of a sampled user in it is
what the history of each of her tasks may show. Interactions are cut by their place in a user's
sequence, not by the clock: what others bought after the day of a target may be there, as in every
leave-one-out evaluation.

Two files: `training.parquet` has a row for each user (`user_id`, and `items`: numbers of rows of
the other file, oldest first), `training_items.parquet` one for each item (`id`, `title`).
"""

import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from lrgd.core.errors import InputError
from lrgd.core.text import one_line
from lrgd.evals.data.datasets import DataSet

if TYPE_CHECKING:
    import polars as pl

Train = Literal["all", "sampled"]
"""Whose interactions: of all users of the data set, or of the bundle's, as the paper trains."""

FILES = ("training.parquet", "training_items.parquet")

OTHERS_LEFT_OUT = 2
"""Last interactions of a user outside the bundle: a validation target and a test target."""


@dataclass(frozen=True, eq=False)
class Training:
    """Interactions that a method may learn from, of items and users by number."""

    items: tuple[str, ...]
    """Ids of the items that occur, sorted."""
    titles: tuple[str, ...]
    """Of these items, each on one line."""
    users: tuple[str, ...]
    """Ids of the users that have an interaction, sorted."""
    bought: NDArray[np.uint32]
    """Shape (interactions,): numbers of items, user after user, oldest first."""
    lengths: NDArray[np.int64]
    """Shape (users,): how many of `bought` are each user's."""

    @cached_property
    def sha256(self) -> str:
        """Hash of the content, whatever wrote the files."""
        digest = hashlib.sha256(json.dumps([self.items, self.titles, self.users]).encode())
        digest.update(self.lengths.astype("<i8").tobytes())
        digest.update(self.bought.astype("<u4").tobytes())
        return digest.hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Training) and self.sha256 == other.sha256

    def __hash__(self) -> int:
        return hash(self.sha256)

    @property
    def buyers(self) -> NDArray[np.int64]:
        """Shape (interactions,): the number of the user behind each of `bought`."""
        return np.repeat(np.arange(len(self.users)), self.lengths)

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """Item id -> its interactions."""
        counts = np.bincount(self.bought, minlength=len(self.items))
        return dict(zip(self.items, counts.tolist(), strict=True))

    def about(self) -> dict[str, Any]:
        """Counts and hash, for the manifest."""
        return {
            "users": len(self.users),
            "items": len(self.items),
            "interactions": len(self.bought),
            "sha256": self.sha256,
        }

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Name and content of each file."""
        import polars as pl

        rows = pl.DataFrame({"user": self.buyers.astype(np.uint32), "items": self.bought})
        lists = rows.group_by("user", maintain_order=True).agg("items")["items"]
        yield FILES[0], _parquet(pl.DataFrame({"user_id": self.users, "items": lists}))
        yield FILES[1], _parquet(pl.DataFrame({"id": self.items, "title": self.titles}))


def training_of(data: DataSet, folds: Mapping[str, int], train: Train) -> Training:
    """The training part of a data set.

    Args:
        folds: sampled user -> her validation tasks.
        train: whose interactions.
    """
    users = sorted(data.sequences if train == "all" else folds)
    left_out = {user: 1 + n for user, n in folds.items()}

    def before(user: str) -> Sequence[str]:
        return data.sequences[user][: -left_out.get(user, OTHERS_LEFT_OUT)]

    users = [user for user in users if before(user)]
    occurring = sorted(set(chain.from_iterable(map(before, users))))
    places = {item: n for n, item in enumerate(occurring)}
    bought = chain.from_iterable(map(before, users))
    return Training(
        items=tuple(occurring),
        titles=tuple(one_line(data.items[item].title) for item in occurring),
        users=tuple(users),
        bought=np.fromiter(map(places.__getitem__, bought), np.uint32),
        lengths=_lengths(map(before, users)),
    )


def load_training(folder: Path) -> Training:
    """Read the files of a training part.

    Raises:
        InputError: one is missing or malformed.
    """
    import polars as pl

    try:
        rows, items = (pl.read_parquet(folder / name) for name in FILES)
        bought = rows["items"].cast(pl.List(pl.UInt32))
        return Training(
            items=tuple(items["id"]),
            titles=tuple(items["title"]),
            users=tuple(rows["user_id"]),
            bought=bought.explode().to_numpy(),
            lengths=bought.list.len().to_numpy().astype(np.int64),
        )
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(
            f"no training part in {folder}: {' '.join(str(error).split())[:200]}; make the bundle "
            "anew"
        ) from error


def _lengths(sequences: Iterable[Sequence[str]]) -> NDArray[np.int64]:
    return np.fromiter(map(len, sequences), np.int64)


def _parquet(frame: "pl.DataFrame") -> bytes:
    # Through memory: a full disk is then Python's own error, with the file's name.
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd")
    return buffer.getvalue()
