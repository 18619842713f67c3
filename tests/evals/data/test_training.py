"""The training part: nobody's target is in it, and it comes back from its files as it was."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from lrgd.agents.values import Item
from lrgd.core.errors import InputError
from lrgd.evals.data.bundle import Bundle, load_bundle
from lrgd.evals.data.datasets import DataSet
from lrgd.evals.data.protocol import freeze
from lrgd.evals.data.sample import sample_world
from lrgd.evals.data.training import Train, Training

WORLD = sample_world(shoppers=40)


def frozen(data: DataSet = WORLD, folds: int = 1, train: Train = "all") -> Bundle:
    return freeze(
        data, users=8, candidates=10, history=5, seed=3, validation_folds=folds, train=train
    )


def training(bundle: Bundle) -> Training:
    assert bundle.training is not None
    return bundle.training


def sequences(bundle: Bundle) -> dict[str, list[str]]:
    """User -> item ids, by way of the numbers."""
    part = training(bundle)
    found: dict[str, list[str]] = {user: [] for user in part.users}
    for user, item in zip(part.buyers, part.bought, strict=True):
        found[part.users[user]].append(part.items[item])
    return found


@pytest.mark.parametrize("folds", [1, 3])
def test_a_sampled_user_ends_before_the_earliest_target_others_before_their_last_two(
    folds: int,
) -> None:
    bundle = frozen(folds=folds)
    wanted = {
        user: list(s[: -1 - folds] if user in bundle.users else s[:-2])
        for user, s in WORLD.sequences.items()
    }
    assert sequences(bundle) == wanted
    for user in bundle.users.values():
        earliest = (user.validation, *user.earlier)[-1]
        assert sequences(bundle)[user.user_id][-5:] == list(earliest.history)


@pytest.mark.parametrize("folds", [1, 3])
def test_other_targets_of_anybody_leave_the_training_part_as_it_is(folds: int) -> None:
    """Everybody's last items are swapped for others: what may be learnt is the same."""
    bundle = frozen(folds=folds)
    cut = {user: -1 - folds if user in bundle.users else -2 for user in WORLD.sequences}
    spare = list(WORLD.items)
    swapped = {
        user: (*s[: cut[user]], *[i for i in spare if i not in s][: -cut[user]])
        for user, s in WORLD.sequences.items()
    }
    other = frozen(DataSet(WORLD.name, WORLD.items, swapped), folds)
    assert other.users != bundle.users
    assert training(other) == training(bundle)
    assert training(other).sha256 == training(bundle).sha256


def test_training_on_the_sampled_users_holds_nobody_else() -> None:
    bundle = frozen(train="sampled")
    assert set(training(bundle).users) == set(bundle.users)
    assert bundle.made_by["train"] == "sampled"
    assert bundle.sha256 != frozen().sha256


def test_popularity_is_counted_in_the_training_part() -> None:
    bundle = frozen()
    rows = [item for bought in sequences(bundle).values() for item in bought]
    assert bundle.popularity == {item: rows.count(item) for item in bundle.items}


def test_titles_are_kept_of_items_that_no_task_has(tmp_path: Path) -> None:
    frozen().save(tmp_path / "b")
    part = training(load_bundle(tmp_path / "b"))
    assert list(part.titles) == [WORLD.items[item].title for item in part.items]
    assert set(part.items) - set(load_bundle(tmp_path / "b").items)


def test_users_of_two_items_or_fewer_have_nothing_to_learn_from() -> None:
    items = {str(n): Item(str(n), f"title {n}") for n in range(9)}
    data = DataSet("d", items, {"a": ("1", "2", "3"), "b": ("4", "5"), "c": ("6",), "d": ()})
    bundle = freeze(data, users=1, candidates=3, history=3, seed=0)
    assert sequences(bundle) == {"a": ["1"]}


def test_a_bundle_of_format_2_is_read_keeps_its_hash_and_stays_one(tmp_path: Path) -> None:
    old = replace(frozen(), training=None)
    old.save(tmp_path / "old")
    assert '"format": 2' in (tmp_path / "old" / "manifest.json").read_text()
    assert sorted(p.name for p in (tmp_path / "old").iterdir()) == [
        "items.jsonl",
        "manifest.json",
        "users.jsonl",
    ]
    again = load_bundle(tmp_path / "old")
    assert again == old
    assert again.training is None
    assert again.sha256 == old.sha256


def test_a_training_part_that_was_changed_or_is_gone_is_refused(tmp_path: Path) -> None:
    frozen().save(tmp_path / "b")
    file = tmp_path / "b" / "training.parquet"
    rows = pl.read_parquet(file)
    rows.reverse().write_parquet(file)
    with pytest.raises(InputError, match="was changed"):
        load_bundle(tmp_path / "b")
    rows.rename({"items": "things"}).write_parquet(file)
    with pytest.raises(InputError, match=r"no training part in .*not found; make the bundle anew"):
        load_bundle(tmp_path / "b")
    file.write_bytes(b"PAR1")
    with pytest.raises(InputError, match="no training part in"):
        load_bundle(tmp_path / "b")
    file.unlink()
    with pytest.raises(InputError, match="no training part in"):
        load_bundle(tmp_path / "b")


def test_the_hash_is_of_the_content_not_of_how_it_was_compressed(tmp_path: Path) -> None:
    bundle = frozen()
    bundle.save(tmp_path / "b")
    file = tmp_path / "b" / "training.parquet"
    pl.read_parquet(file).write_parquet(file, compression="snappy")
    assert load_bundle(tmp_path / "b") == bundle
