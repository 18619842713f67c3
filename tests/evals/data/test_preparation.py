from pathlib import Path

import pytest

from lrgd.core.errors import InputError
from lrgd.evals.data.preparation import DEFAULT_K_CORE, read_data
from tests.evals.data.readers.files import SEQUENCES, amazon_2018_csv, lcrec


def test_the_origin_says_files_rules_and_what_was_dropped(tmp_path: Path) -> None:
    amazon_2018_csv(tmp_path)
    data, origin = read_data("amazon-2018", tmp_path, k_core=2, min_rating=2)
    # The one rating below 2 is gone; the fourth item is left with two users.
    assert data.sequences == {**SEQUENCES, "A1": SEQUENCES["A1"][:2]}
    assert origin["source"] == "amazon-2018"
    assert list(origin["files"]) == ["Video_Games.csv", "meta_Video_Games.json"]
    assert origin["columns"].startswith("item, user, rating, time")
    assert (origin["k_core"], origin["min_rating"]) == (2, 2)
    assert origin["cleaning"]["dropped"]["rated below 2"] == 1


def test_the_k_core_is_five_unless_said(tmp_path: Path) -> None:
    lcrec(tmp_path)
    with pytest.raises(InputError, match=f"user or item with fewer than {DEFAULT_K_CORE}"):
        read_data("lcrec", tmp_path, k_core=None, min_rating=None)


def test_llmranks_files_are_taken_as_they_stand(tmp_path: Path) -> None:
    (tmp_path / "Games.item").write_text("item_id:token\ttitle:token_seq\n0\tHalo\n")
    header = "user_id:token\titem_id_list:token_seq\titem_id:token\n"
    (tmp_path / "Games.test.inter").write_text(header + "u\t0 0\t0\n")
    data, origin = read_data("llmrank", tmp_path, k_core=None, min_rating=None)
    assert (data.sequences, origin) == ({"u": ("0", "0", "0")}, {})
    for rules in ({"k_core": 5, "min_rating": None}, {"k_core": None, "min_rating": 3.0}):
        with pytest.raises(InputError, match="are 5-core already"):
            read_data("llmrank", tmp_path, **rules)  # type: ignore[arg-type]
