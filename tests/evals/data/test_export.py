import json
from pathlib import Path

import pytest

from lrgd.agents.values import Item
from lrgd.core.errors import InputError
from lrgd.evals.data.bundle import Bundle
from lrgd.evals.data.cleaning import Rules, clean
from lrgd.evals.data.datasets import DataSet
from lrgd.evals.data.export import export
from lrgd.evals.data.protocol import freeze
from lrgd.evals.data.readers import READERS
from lrgd.evals.data.sample import sample_world
from tests.evals.data.readers.files import rows_of


def test_csv_holds_the_identical_tasks(bundle: Bundle, tmp_path: Path) -> None:
    export(bundle, "csv", tmp_path / "b")
    histories, candidates, items = (
        rows_of(tmp_path / "b" / f"{name}.csv") for name in ("histories", "candidates", "items")
    )
    for user in bundle.users.values():
        for split, task in (("validation", user.validation), ("test", user.test)):

            def of_task(
                rows: list[dict[str, str]], key: tuple[str, str] = (user.user_id, split)
            ) -> list[dict[str, str]]:
                return [row for row in rows if (row["user_id"], row["split"]) == key]

            assert tuple(r["item_id"] for r in of_task(histories)) == task.history
            assert tuple(r["item_id"] for r in of_task(candidates)) == task.candidates
            marked = [r["item_id"] for r in of_task(candidates) if r["is_target"] == "1"]
            assert marked == [task.target]
    assert list(dict.fromkeys(row["user_id"] for row in candidates)) == list(bundle.users)
    again = {
        r["item_id"]: Item(
            r["item_id"], r["title"], r["brand"], json.loads(r["categories"]), r["description"]
        )
        for r in items
    }
    assert again == bundle.items
    assert bundle.sha256 in (tmp_path / "b" / "README.md").read_text()


def test_recbole_holds_the_identical_tasks_and_trains_on_no_target(
    bundle: Bundle, tmp_path: Path
) -> None:
    export(bundle, "recbole", tmp_path / "b")
    for name, split in (("valid", "validation"), ("test", "test")):
        histories, candidates = (
            rows_of(tmp_path / "b" / f"b.{name}.{kind}", "\t") for kind in ("inter", "candidates")
        )
        tasks = [getattr(user, split) for user in bundle.users.values()]
        assert [row["user_id:token"] for row in histories] == list(bundle.users)
        for history, candidate, task in zip(histories, candidates, tasks, strict=True):
            assert tuple(history["item_id_list:token_seq"].split()) == task.history
            assert tuple(candidate["item_id_list:token_seq"].split()) == task.candidates
            assert history["item_id:token"] == candidate["item_id:token"] == task.target
    for row in rows_of(tmp_path / "b" / "b.train.inter", "\t"):
        user = bundle.users[row["user_id:token"]]
        seen = (*row["item_id_list:token_seq"].split(), row["item_id:token"])
        assert seen == user.validation.history[: len(seen)]


def test_exported_items_come_back_through_the_reader(bundle: Bundle, tmp_path: Path) -> None:
    export(bundle, "recbole", tmp_path / "b")
    rows = "".join(f"u\t{item}\n" for item in bundle.items)
    (tmp_path / "b" / "b.inter").write_text("user_id:token\titem_id:token\n" + rows)
    data, _ = clean(READERS["recbole"](tmp_path / "b" / "b.inter"), Rules(1))
    titles = {i: item.title for i, item in bundle.items.items()}
    assert {i: item.title for i, item in data.items.items()} == titles


def small(item: str, title: str) -> Bundle:
    items = {i: Item(i, title) for i in (item, *"bcdefgh")}
    data = DataSet("d", items, {"u": (item, "b", "c")})
    return freeze(data, users=1, candidates=3, history=3, seed=0)


def test_a_double_quote_does_not_open_a_field_for_recbole(tmp_path: Path) -> None:
    export(small("a", 'The "best" one'), "recbole", tmp_path / "b")
    assert "The 'best' one" in (tmp_path / "b" / "b.item").read_text()


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot hold the id 'a a': use --to csv"):
        export(small("a a", "t"), "recbole", tmp_path / "b")
    assert list(tmp_path.iterdir()) == []
    export(small("a a", "t"), "csv", tmp_path / "b")
    with pytest.raises(InputError, match="is there already"):
        export(small("a a", "t"), "csv", tmp_path / "b")


def test_further_validation_tasks_are_exported_and_never_trained_on(tmp_path: Path) -> None:
    folds = {"users": 8, "candidates": 10, "history": 20, "seed": 3, "validation_folds": 3}
    bundle = freeze(sample_world(shoppers=20), **folds)  # type: ignore[arg-type]
    export(bundle, "csv", tmp_path / "c")
    splits = {row["split"] for row in rows_of(tmp_path / "c" / "candidates.csv")}
    assert splits == {"validation", "validation 1", "validation 2", "test"}
    export(bundle, "recbole", tmp_path / "b")
    for row in rows_of(tmp_path / "b" / "b.train.inter", "\t"):
        user = bundle.users[row["user_id:token"]]
        targets = {task.target for task in (user.validation, *user.earlier, user.test)}
        assert not targets & {*row["item_id_list:token_seq"].split(), row["item_id:token"]}
