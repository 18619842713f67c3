import json
from pathlib import Path

import pytest

from lrgd.agents.values import Item
from lrgd.evals.data.bundle import Bundle, load_bundle
from lrgd.evals.data.datasets import DataSet
from lrgd.evals.data.protocol import freeze
from tests.evals.data.readers.files import amazon_2018, recbole, write
from tests.lrgd.cli.test_cli import assert_refused, lrgd


@pytest.fixture(scope="module")
def saved(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "bundle"
    bundle.save(folder)
    return folder


def test_what_was_dropped_is_printed_and_in_the_manifest(tmp_path: Path) -> None:
    recbole(tmp_path)
    items = "".join(f"{i}\ttitle {i}\n" for i in range(30)) + "30\t \n"
    write(tmp_path / "games.item", "item_id:token\ttitle:token_seq\n" + items)
    rows = "".join(f"u{u}\t{(u + n) % 31}\t{n}\t5\n" for u in range(31) for n in range(6))
    header = "user_id:token\titem_id:token\ttimestamp:float\trating:float\n"
    write(tmp_path / "games.inter", header + rows)
    options = ["--path", tmp_path, "--candidates", 5, "--strategy", "popularity"]
    options += ["--users", 7, "--train", "sampled"]
    made = lrgd("data", "prepare", "--source", "recbole", *options, "--out", tmp_path / "b")
    assert made.returncode == 0, made.stderr
    shown = lrgd("data", "show", tmp_path / "b").stdout
    for text in (made.stdout, shown):
        assert "dropped: item without a title" in text
        assert "interactions of 7 users" in text
    made_by = load_bundle(tmp_path / "b").made_by
    assert made_by["strategy"] == "popularity"
    assert made_by["train"] == "sampled"
    assert made_by["k_core"] == 5
    assert made_by["cleaning"]["read"] == {"interactions": 186, "users": 31, "items": 31}
    assert made_by["cleaning"]["dropped"]["item without a title"] == 6
    assert sorted(made_by["files"]) == ["games.inter", "games.item"]


def test_a_malformed_file_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    amazon_2018(tmp_path)
    write(tmp_path / "Video_Games_5.json.gz", '{"reviewerID": "A1"}\n')
    options = ["--source", "amazon-2018", "--path", tmp_path, "--out", tmp_path / "b"]
    found = lrgd("data", "prepare", *options)
    assert_refused(found, "Video_Games_5.json.gz:1: field asin is missing")


def test_signs_are_printed_where_the_encoding_has_none_and_controls_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = [Item("a", "\U0001f3ae"), *(Item(i, f"{i}\x1b[2J") for i in "bcdef")]
    data = DataSet("d", {i.id: i for i in items}, {"u": ("a", "b", "c")})
    freeze(data, users=1, candidates=3, history=3, seed=0).save(tmp_path / "b")
    monkeypatch.setenv("PYTHONIOENCODING", "cp1252")
    shown = lrgd("data", "show", tmp_path / "b", "--user", "u")
    assert shown.returncode == 0, shown.stderr
    assert "- \\U0001f3ae" in shown.stdout
    assert "\x1b" not in shown.stdout


def test_a_bundle_is_exported(saved: Path, tmp_path: Path) -> None:
    made = lrgd("data", "export", saved, "--to", "recbole", "--out", tmp_path / "shop")
    assert made.returncode == 0, made.stderr
    assert str(tmp_path / "shop" / "shop.test.inter") in made.stdout
    again = lrgd("data", "export", saved, "--to", "csv", "--out", tmp_path / "shop")
    assert_refused(again, "is there already")
    manifest = json.loads((saved / "manifest.json").read_text())
    assert manifest["sha256"] in (tmp_path / "shop" / "README.md").read_text()
