import os
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from lrgd.agents.values import Item
from lrgd.core.errors import InputError
from lrgd.evals.data.bundle import Bundle, load_bundle
from lrgd.evals.data.datasets import DataSet
from lrgd.evals.data.protocol import freeze
from lrgd.evals.data.sample import sample_world


def test_every_task_keeps_the_protocol(bundle: Bundle) -> None:
    for user in bundle.users.values():
        for task in (user.validation, user.test):
            assert len(task.candidates) == len(set(task.candidates)) == 20
            assert task.target in task.candidates
            assert 1 <= len(task.history) <= 20
        # The validation target is the last purchase that the test history shows.
        assert user.test.history[-1] == user.validation.target
        assert user.validation.history[-1] == user.test.history[-2]


def test_no_negative_was_ever_touched() -> None:
    items = {str(i): Item(str(i), f"title {i}") for i in range(40)}
    touched = tuple(str(i) for i in range(25))
    frozen = freeze(DataSet("d", items, {"u": touched}), users=1, candidates=15, history=3, seed=0)
    user = frozen.users["u"]
    assert not set(user.test.candidates) & set(touched[:-1])
    assert not set(user.validation.candidates) & (set(touched) - {"23"})
    assert user.test.history == ("21", "22", "23")


def test_targets_stand_anywhere_among_the_candidates() -> None:
    items = {str(i): Item(str(i), f"title {i}") for i in range(60)}
    users = {f"u{n}": ("0", "1", "2") for n in range(400)}
    frozen = freeze(DataSet("d", items, users), users=400, candidates=4, history=3, seed=0)
    places = [u.test.candidates.index(u.test.target) for u in frozen.users.values()]
    # 100 of 400 each, standard error 8.7: six of them, odds of a false alarm 1e-8.
    assert all(abs(places.count(place) - 100) < 52 for place in range(4))


def test_too_few_items_or_interactions_are_said(tmp_path: Path) -> None:
    items = {str(i): Item(str(i), "t") for i in range(5)}
    with pytest.raises(InputError, match="only 2 are allowed"):
        freeze(
            DataSet("d", items, {"u": ("0", "1", "2")}), users=1, candidates=9, history=3, seed=0
        )
    with pytest.raises(InputError, match="no user with 3"):
        freeze(DataSet("d", items, {"u": ("0", "1")}), users=1, candidates=2, history=3, seed=0)


def test_a_bundle_comes_back_as_it_was_saved(bundle: Bundle, tmp_path: Path) -> None:
    bundle.save(tmp_path / "b")
    again = load_bundle(tmp_path / "b")
    assert again == bundle
    assert again.sha256 == bundle.sha256
    bundle.save(tmp_path / "b")


@pytest.mark.parametrize("file", ["items.jsonl", "users.jsonl", "manifest.json"])
def test_a_changed_bundle_is_refused(bundle: Bundle, tmp_path: Path, file: str) -> None:
    bundle.save(tmp_path / "b")
    changed = tmp_path / "b" / file
    text = changed.read_text("utf-8")
    changed.write_text(text.replace("sample", "simple").replace("item-0", "item-9", 1), "utf-8")
    with pytest.raises(InputError, match="was changed"):
        load_bundle(tmp_path / "b")


def test_what_is_no_bundle_is_refused_and_never_overwritten(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no bundle at"):
        load_bundle(tmp_path)
    with pytest.raises(InputError, match="holds something else"):
        bundle.save(tmp_path)
    (tmp_path / "manifest.json").write_text('{"format": 99}')
    for name in ("items.jsonl", "users.jsonl"):
        (tmp_path / name).touch()
    with pytest.raises(InputError, match="wanted a bundle of format 3 or 2"):
        load_bundle(tmp_path)


def test_an_unknown_user_is_answered_with_known_ones(bundle: Bundle) -> None:
    with pytest.raises(InputError, match=r"no user 'nobody' .* some that are: shopper-"):
        bundle.task("nobody", "test")


SHOW_HASH = """
from lrgd.evals.data.protocol import freeze
from lrgd.evals.data.sample import sample_world
print(freeze(sample_world(shoppers=9), users=9, candidates=9, history=9, seed=5).sha256)
"""


def test_two_processes_with_other_hash_seeds_freeze_the_same_bundle() -> None:
    hashes = {
        subprocess.run(
            [sys.executable, "-c", SHOW_HASH],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1")
    }
    assert len(hashes) == 1


@pytest.mark.shared
def test_the_games_bundle_has_its_known_hash(games: Path) -> None:
    from lrgd.evals.data.readers.llmrank import read_llmrank

    frozen = freeze(read_llmrank(games), users=1000, candidates=50, history=20, seed=2024)
    assert frozen.sha256 == "34ff8c65502d998b3d3f01af3d57567fba8000faf495acb565e9d9103c6354c1"
    # The same tasks as a bundle of format 2 have the hash that published runs name.
    made_by = {key: value for key, value in frozen.made_by.items() if key != "train"}
    old = replace(frozen, training=None, made_by=made_by)
    assert old.sha256 == "b287c3fab525f62b51e8628f22a52cbbe151eecfd2b49b1288777c710bacfea1"


@pytest.mark.shared
def test_the_training_part_of_games_is_small(games: Path, tmp_path: Path) -> None:
    from lrgd.evals.data.readers.llmrank import read_llmrank

    data = read_llmrank(games)
    freeze(data, users=1000, candidates=50, history=20, seed=2024).save(tmp_path / "b")
    assert sum(file.stat().st_size for file in (tmp_path / "b").iterdir()) < 12e6


def test_several_validation_tasks_go_back_in_time_and_one_keeps_the_hash(tmp_path: Path) -> None:
    data = sample_world(shoppers=20)
    frozen_with = partial(freeze, data, users=8, candidates=10, history=5, seed=3)
    one, three = frozen_with(), frozen_with(validation_folds=3)
    assert frozen_with(validation_folds=1).sha256 == one.sha256 != three.sha256
    three.save(tmp_path / "b")
    for user, frozen in load_bundle(tmp_path / "b").users.items():
        assert (frozen.validation, frozen.test) == (
            one.users[user].validation,
            one.users[user].test,
        )
        sequence = data.sequences[user]
        assert [t.target for t in frozen.earlier] == [sequence[-3], sequence[-4]]
        assert frozen.earlier[1].history == sequence[:-4][-5:]
    assert len(three.earlier_tasks(next(iter(three.users)))) == 2


def test_a_short_sequence_has_as_many_validation_tasks_as_it_allows() -> None:
    items = {str(n): Item(str(n), f"title {n}") for n in range(30)}
    data = DataSet("d", items, {"u": ("1", "2", "3", "4")})
    bundle = freeze(data, users=1, candidates=4, history=9, seed=0, validation_folds=9)
    (user,) = bundle.users.values()
    assert [t.target for t in (user.test, user.validation, *user.earlier)] == ["4", "3", "2"]
