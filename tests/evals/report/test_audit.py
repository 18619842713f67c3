from math import log2

import pytest

from lrgd.agents.generator import Verdict
from lrgd.agents.values import RankingAudit
from lrgd.evals.report.audit import audit_rates, rejections
from lrgd.graphs.state import Trial
from lrgd.memory import Demonstration


def test_rates_are_of_entries_of_items_asked_for_and_of_rankings() -> None:
    audits = [
        RankingAudit(named=6, duplicates=2, out_of_set=2, missing=4, truncated=True),
        RankingAudit(named=10, position_sd=1.5),
    ]
    found = audit_rates(audits, [2, None])
    assert (found.rankings, found.duplicates, found.out_of_set) == (2, 2 / 20, 2 / 20)
    assert (found.missing, found.truncated, found.position_sd) == (4 / 20, 1 / 2, 1.5)
    assert found.strict_ndcg_at_10 == pytest.approx((1 / log2(3) + 0) / 2)
    assert not found.clean


def test_no_ranking_has_no_rates() -> None:
    found = audit_rates([])
    assert found.clean
    assert (found.position_sd, found.strict_ndcg_at_10) == (None, None)


def test_rejections_are_counted_by_their_reason() -> None:
    written = Demonstration(user_id="u", text="", path=0, round=1)
    verdicts: list[Verdict] = ["usable", "cut_off", "cut_off", "refused", "names_target"]
    found = rejections([Trial(written, verdict) for verdict in verdicts])
    assert {r: n for r, n in found.items() if n} == {"cut_off": 2, "refused": 1, "names_target": 1}
