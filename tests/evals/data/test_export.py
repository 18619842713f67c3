import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lrgd.agents.values import Item
from lrgd.core.errors import InputError
from lrgd.core.text import one_line, unusable_id
from lrgd.evals.data.bundle import Bundle, load_bundle
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


wild = st.text(st.characters(exclude_categories=()), max_size=20) | st.sampled_from(
    [
        '"',
        'a "b" c',
        "a,b",
        "\ta\r\nb",
        "\u2028",
        "\ufeff\u2665",
        "\ud83d",
        "\x00",
        "...",
        "=1+1",
        "'",
    ]
)
ids = st.text(max_size=6).map(str.strip).filter(lambda text: unusable_id(text) is None)
small_bundles = st.builds(
    lambda names, titles, texts: freeze(
        DataSet(
            "d",
            {
                i: Item(i, title, texts[0], tuple(texts), texts[1])
                for i, title in zip(names, titles, strict=True)
            },
            {names[0]: tuple(names[:3])},
            {names[0]: texts[0]},
        ),
        users=1, candidates=3, history=3, seed=0,
    ),
    st.lists(ids, min_size=5, max_size=5, unique=True),
    st.lists(wild, min_size=5, max_size=5),
    st.lists(wild, min_size=2, max_size=3),
)  # fmt: skip


@settings(max_examples=50, deadline=None)
@given(small_bundles)
def test_a_bundle_comes_back_whatever_its_texts_hold(bundle: Bundle) -> None:
    with TemporaryDirectory() as folder:
        bundle.save(Path(folder) / "b")
        assert load_bundle(Path(folder) / "b") == bundle


def on_lines(item: Item) -> Item:
    title, brand, description = map(one_line, (item.title, item.brand, item.description))
    return Item(item.id, title, brand, tuple(map(one_line, item.categories)), description)


@settings(max_examples=50, deadline=None)
@given(small_bundles)
def test_csv_holds_every_text_on_one_line(bundle: Bundle) -> None:
    with TemporaryDirectory() as folder:
        export(bundle, "csv", Path(folder) / "b")
        rows = rows_of(Path(folder) / "b" / "items.csv")
        again = [
            Item(
                r["item_id"], r["title"], r["brand"], json.loads(r["categories"]), r["description"]
            )
            for r in rows
        ]
        assert again == list(map(on_lines, bundle.items.values()))
        (user,) = bundle.users.values()
        ordered = rows_of(Path(folder) / "b" / "candidates.csv")
        assert tuple(r["item_id"] for r in ordered if r["split"] == "test") == user.test.candidates


@settings(max_examples=50, deadline=None)
@given(small_bundles)
def test_recbole_holds_the_same_or_says_which_id_it_cannot(bundle: Bundle) -> None:
    names = [*bundle.items, *bundle.users]
    unfit = [name for name in names if any(c.isspace() or c == '"' for c in name)]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "b"
        if unfit:
            with pytest.raises(InputError, match="cannot hold the id"):
                export(bundle, "recbole", path)
            return
        export(bundle, "recbole", path)
        rows = rows_of(path / "b.item", "\t")
        assert [row["item_id:token"] for row in rows] == list(bundle.items)
        titles = [on_lines(item).title.replace('"', "'") for item in bundle.items.values()]
        assert [row["title:token_seq"] for row in rows] == titles
        (user,) = bundle.users.values()
        (row,) = rows_of(path / "b.test.candidates", "\t")
        assert tuple(row["item_id_list:token_seq"].split(" ")) == user.test.candidates


@pytest.mark.parametrize("to", ["csv", "recbole"])
def test_an_id_that_no_file_may_hold_is_said(to: Literal["csv", "recbole"], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the id 'a\\x07' holds the character U\+0007"):
        export(small("a\x07", "t"), to, tmp_path / "b")
