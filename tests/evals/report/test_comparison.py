from pathlib import Path

import pytest

from lrgd.core.errors import InputError
from lrgd.evals.report.comparison import compare_runs
from lrgd.evals.runs.folder import RunFolder, RunHeader, Score
from lrgd.graphs import LoopSettings


def run(folder: Path, ranks: dict[str, list[int]], seed: int = 1, **changes: object) -> Path:
    """A scored run: method -> the ranks of users a, b, c, ... in it."""
    header = {
        "bundle": "b",
        "bundle_sha256": "0",
        "model": "m",
        "ranking": "decision",
        "users": ("a", "b", "c"),
        "settings": LoopSettings(seed=seed),
    }
    opened = RunFolder(folder)
    opened.begin(RunHeader.model_validate(header | changes), resume=False)
    for method, found in ranks.items():
        for user, rank in zip("abc", found, strict=False):
            opened.scores.append(Score(method, user, rank))
    return folder


def test_runs_are_paired_by_user(tmp_path: Path) -> None:
    a = run(tmp_path / "a", {"zero-shot": [3, 3, 3], "LRGD": [3, 7, 1], "ICL": [1, 1, 1]})
    b = run(tmp_path / "b", {"LRGD": [1, 3, 1], "zero-shot": [3, 3]}, seed=2, model="n")
    found = compare_runs(a, b)
    assert [row.method for row in found.rows] == ["zero-shot", "LRGD"]
    assert found.users == 2  # c has no score of zero-shot in b
    lrgd = found.rows[1]
    assert lrgd.a == pytest.approx((1 / 2 + 1 / 3) / 2)
    assert lrgd.b == pytest.approx((1 + 1 / 2) / 2)
    assert lrgd.difference.mean == pytest.approx(lrgd.b - lrgd.a)
    assert found.rows[0].difference.mean == 0
    assert found.settings == {"model": ("m", "n"), "seed": ("1", "2")}
    assert found.table().rows[1][0] == "LRGD"


def test_seeds_are_averaged(tmp_path: Path) -> None:
    a = run(tmp_path / "a", {"LRGD": [1, 1]})
    b = run(tmp_path / "b", {"LRGD": [1, 1]})
    for user in "ab":
        RunFolder(b).scores.append(Score("LRGD", user, 3, seed=2))
    assert compare_runs(a, b).rows[0].b == pytest.approx(0.75)


def test_what_cannot_be_paired_is_refused(tmp_path: Path) -> None:
    a = run(tmp_path / "a", {"LRGD": [1, 2, 3]})
    with pytest.raises(InputError, match="different bundles"):
        compare_runs(a, run(tmp_path / "b", {"LRGD": [1, 2, 3]}, bundle_sha256="1"))
    with pytest.raises(InputError, match="no two scored users"):
        compare_runs(a, run(tmp_path / "c", {"LRGD": [1]}))
    with pytest.raises(InputError, match="no two scored users"):
        compare_runs(a, run(tmp_path / "d", {}))
