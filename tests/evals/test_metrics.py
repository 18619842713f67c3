from math import log2

import ir_measures
import numpy as np
import pytest
from ir_measures import RR, R, nDCG

from lrgd.evals.metrics import METRICS, effect_d, ndcg_at, recall_at, reciprocal_rank


def test_ndcg_of_rank_two_is_one_over_log2_three() -> None:
    assert ndcg_at(10, rank=2) == pytest.approx(1 / log2(3))


def test_beyond_the_cut_off_nothing_counts() -> None:
    assert ndcg_at(10, 10) == pytest.approx(1 / log2(11))
    assert (ndcg_at(10, 11), recall_at(10, 11), recall_at(10, 10)) == (0.0, 0.0, 1.0)


def test_effect_d_is_ndcg_without_cut_off() -> None:
    ranks = np.arange(1, 51)
    np.testing.assert_allclose(effect_d(ranks), ndcg_at(50, ranks), atol=0)


def test_reciprocal_rank() -> None:
    assert reciprocal_rank(4) == 0.25


def test_a_uniform_rank_among_fifty_gives_the_published_floor() -> None:
    ranks = np.arange(1, 51)
    means = {name: metric(ranks).mean() for name, metric in METRICS.items()}
    assert means["nDCG@1"] == pytest.approx(1 / 50)
    assert means["nDCG@10"] == pytest.approx(sum(1 / log2(r + 1) for r in range(1, 11)) / 50)
    assert means["nDCG@10"] == pytest.approx(0.0909, abs=5e-5)
    assert means["Recall@10"] == pytest.approx(10 / 50)


def test_rank_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="1 or more"):
        ndcg_at(10, [3, 0])


def test_all_metrics_agree_with_an_independent_library() -> None:
    """ir-measures, over trec_eval, on 1,000 random rankings of 50 candidates."""
    ranks = np.random.default_rng(7).integers(1, 51, 1000)
    users = [str(n) for n in range(1000)]
    qrels = [ir_measures.Qrel(user, "target", 1) for user in users]
    run = [
        ir_measures.ScoredDoc(user, "target" if place == rank else f"d{place}", -float(place))
        for user, rank in zip(users, ranks, strict=True)
        for place in range(1, 51)
    ]
    theirs = {
        **{f"nDCG@{k}": nDCG @ k for k in (1, 5, 10)},
        **{f"Recall@{k}": R @ k for k in (1, 5, 10)},
        "MRR": RR,
        "Effect_D": nDCG,
    }
    assert set(theirs) == set(METRICS)
    for name, measure in theirs.items():
        found = {m.query_id: m.value for m in ir_measures.iter_calc([measure], qrels, run)}
        ours = METRICS[name](ranks)
        np.testing.assert_allclose(ours, [found[user] for user in users], atol=1e-12, rtol=0)
