"""What a report says of few users, and of an interval and a test that do not agree."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from lrgd.agents.values import Usage
from lrgd.evals.data.bundle import Bundle
from lrgd.evals.methods import METHODS
from lrgd.evals.methods.evidence import FusedFit
from lrgd.evals.report.method_results import MethodResult, method_results, scores_by_method
from lrgd.evals.report.page import report_tables, write_report
from lrgd.evals.report.report import Report, headline, report_of
from lrgd.evals.report.tables import correlation_table, quality_table
from lrgd.evals.runs.evaluation import Evaluation, SeededMethod, methods_of
from lrgd.evals.runs.folder import RunHeader, Score, UserRecord
from lrgd.evals.runs.prior import PriorFit
from lrgd.graphs import LoopSettings
from lrgd.graphs.state import PathState, Trial
from lrgd.memory import Demonstration

SETTINGS = LoopSettings(paths=1, rounds=1)


def record(user: str, rank: int) -> UserRecord:
    written = Demonstration(user, f"note on {user}", 0, 1, (rank,))
    path = PathState(0, (Trial(written, "usable"),))
    return UserRecord(user, (path,), (), written, "rounds", Usage(4, 40, 4))


def methods(users: list[str]) -> list[SeededMethod]:
    records = [record(user, 1 + n) for n, user in enumerate(users)]
    return list(methods_of(Evaluation(), SETTINGS, lambda settings: records))


def scored(made: list[SeededMethod], users: list[str], lrgd: list[int]) -> list[Score]:
    """LRGD's ranks as told, all others' 5."""
    ranks = {"LRGD": lrgd}
    return [
        Score(
            seeded.method.name,
            user,
            ranks.get(seeded.method.name, len(users) * [5])[n],
            seed=seeded.seed,
        )
        for seeded in made
        for n, user in enumerate(users)
    ]


def rows(lrgd: list[int]) -> list[MethodResult]:
    users = [f"u{n:02d}" for n in range(len(lrgd))]
    made = methods(users)
    return method_results(scores_by_method(scored(made, users, lrgd), made), "zero-shot")


def report(bundle: Bundle, lrgd: list[int]) -> Report:
    users = list(bundle.users)[: len(lrgd)]
    made = methods(users)
    header = RunHeader(bundle="b", bundle_sha256="0" * 64, model="m", ranking="decision",
                       users=tuple(users), settings=SETTINGS)  # fmt: skip
    return report_of(bundle, header, Evaluation(), made, scored(made, users, lrgd))


@pytest.mark.parametrize("users", [2, 3, 8])
def test_few_users_have_no_verdict_however_clear_they_are(users: int) -> None:
    """Eleven comparisons: 11 * 2 / 2^8 is above 0.05, 11 * 2 / 2^9 is not."""
    found = rows(users * [1])
    assert f"{users} users, too few to tell." in headline(found, "zero-shot")
    assert "clear of 0" not in headline(found, "zero-shot")
    table = quality_table(found, "zero-shot")
    assert table.title == f"Test task, {users} users: too few to tell (9 are needed)"
    assert {row[0]: row[-1] for row in table.rows}["LRGD"] == "too few"
    assert {row[0]: row[-1] for row in table.rows}["zero-shot"] == ""


def test_nine_users_that_all_gain_are_enough() -> None:
    found = rows(9 * [1])
    assert "p 0.043: 9 users, clear of 0." in headline(found, "zero-shot")  # 11 * 2 / 2^9
    assert quality_table(found, "zero-shot").title == "Test task, 9 users"


def test_an_interval_that_excludes_0_is_not_enough_without_its_p_value() -> None:
    found = rows(10 * [5] + 5 * [1])
    lrgd = next(row for row in found if row.method == "LRGD")
    # Five of fifteen users gain, nobody loses: unadjusted, p is 2 / 2^5.
    assert lrgd.differences["nDCG@10"].low > 0
    assert lrgd.p_values["nDCG@10"] > 0.05
    assert "15 users, not clear of 0." in headline(found, "zero-shot")


def test_the_json_holds_the_verdict(bundle: Bundle) -> None:
    told = json.loads(json.dumps(report(bundle, 9 * [1]).as_dict()))
    verdicts = {row["method"]: row["verdict"] for row in told["methods"]}
    assert verdicts["LRGD"] == "clear of 0"
    assert verdicts["BM25"] == "not clear of 0"
    assert verdicts["zero-shot"] is None
    assert set(verdicts) <= set(METHODS)


def test_the_first_sentence_is_about_the_floor_fused(bundle: Bundle) -> None:
    said = report(bundle, 9 * [1]).headline
    assert said.startswith("LRGD minus the floor fused, nDCG@10: +0.6131 [+0.6131, +0.6131]")
    assert "p 0.004: 9 users, clear of 0. LRGD minus zero-shot" in said  # 2 / 2^9


def test_weights_have_a_table_with_their_intervals_and_stand_in_the_json(bundle: Bundle) -> None:
    fitted = FusedFit(
        weights={"popularity": 0.7, "item kNN": 0.4, "BM25": 0.5},
        standard_errors={"popularity": 0.1, "item kNN": 0.2, "BM25": 0.0},
        users=9,
        tasks=18,
    )
    with_model = {**fitted.weights, "model": 0.3}, {**fitted.standard_errors, "model": 0.1}
    prior = PriorFit(weights=with_model[0], standard_errors=with_model[1], without={}, users=9,
                     tasks=17, left_out=1)  # fmt: skip
    said = replace(report(bundle, 9 * [1]), weights={"fused": fitted, "prior": prior})
    tables = report_tables(said)
    table = tables["fused"]
    assert tables["prior"].rows[-1] == ("model", "0.30 [0.10, 0.50]")
    assert tables["prior"].title == "Weights of prior, fitted on 17 validation tasks of 9 users"
    assert said.as_dict()["weights"]["prior"]["left_out"] == 1
    assert table.title == "Weights of fused, fitted on 18 validation tasks of 9 users"
    assert table.rows[0] == ("popularity", "0.70 [0.50, 0.90]")
    assert said.as_dict()["weights"]["fused"]["standard_errors"]["item kNN"] == 0.2


def test_what_a_bundle_without_training_part_leaves_out_is_said(bundle: Bundle) -> None:
    users = list(bundle.users)[:9]
    records = [record(user, 1) for user in users]
    made = list(methods_of(Evaluation(), SETTINGS, lambda settings: records, has=()))
    header = RunHeader(bundle="b", bundle_sha256="0" * 64, model="m", ranking="decision",
                       users=tuple(users), settings=SETTINGS)  # fmt: skip
    old = replace(bundle, training=None)
    said = report_of(old, header, Evaluation(), made, scored(made, users, 9 * [1]))
    assert said.headline.startswith("LRGD minus zero-shot")
    gone = ["item kNN", "BM25 + popularity", "BM25 + item kNN", "fused"]
    assert said.headline.endswith(f"no training part, so there is no {', '.join(gone)}.")
    assert said.as_dict()["left_out_methods"] == gone
    assert "fused" not in report_tables(said)


def test_a_correlation_over_four_users_cannot_be_told(bundle: Bundle) -> None:
    table = correlation_table(report(bundle, [1, 2, 3, 4]).correlations)
    assert [row[-1] for row in table.rows][:1] == ["too few"]
    # 2 of the 5! orders are as extreme as the one that was seen.
    table = correlation_table(report(bundle, [1, 2, 3, 4, 5]).correlations)
    assert [row[-1] for row in table.rows][:1] == [f"{2 / 120:.3f}"]


def test_the_same_run_gives_the_same_page_to_the_byte(bundle: Bundle, tmp_path: Path) -> None:
    said = report(bundle, [1, 2, 3])
    first, second = (write_report(tmp_path / name, said).page.read_bytes() for name in "ab")
    assert first == second
