"""What was known of the candidates before a model is asked."""

import asyncio
from dataclasses import replace
from math import exp
from statistics import fmean, pstdev

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from lrgd.agents.prior import model_scores, posterior, standardized
from lrgd.agents.prompts import LRGD_PROMPTS
from lrgd.agents.recommender import ShuffledRanker, ranking_of
from lrgd.agents.values import Prior, Ranking, RankingAudit, RankingTask, Usage
from lrgd.graphs.checkpoints import VALUES
from lrgd.graphs.state import as_task
from tests.scripted import task

TASK = task()
IDS = [c.id for c in TASK.candidates]
SAID = Ranking(
    tuple(IDS),
    RankingAudit(named=4),
    dict(zip(IDS, (0.4, 0.3, 0.2, 0.1), strict=True)),
    usage=Usage(1, 2, 3),
)


class Fixed:
    """A ranker that always answers the same."""

    async def rank(self, context: object, candidates: object) -> Ranking:
        return SAID


def test_the_logits_of_the_prior_and_of_the_model_are_added() -> None:
    prior = Prior({IDS[3]: 2.0, IDS[1]: -1.0}, model_weight=0.5)
    both = posterior(SAID, prior, TASK.candidates)
    z = standardized(model_scores(SAID))
    logits = {i: prior.logits.get(i, 0.0) + 0.5 * z[i] for i in IDS}
    assert both.order == tuple(sorted(IDS, key=lambda i: -logits[i]))
    total = sum(map(exp, logits.values()))
    assert both.probabilities == pytest.approx({i: exp(x) / total for i, x in logits.items()})
    assert (both.audit, both.usage) == (SAID.audit, SAID.usage)


def test_a_weight_of_zero_leaves_the_prior_alone_and_no_logits_leave_the_model() -> None:
    falling = Prior({i: float(n) for n, i in enumerate(IDS)}, model_weight=0.0)
    assert posterior(SAID, falling, TASK.candidates).order == tuple(reversed(IDS))
    assert posterior(SAID, Prior({}), TASK.candidates).order == SAID.order


def test_a_ranking_without_probabilities_says_its_ranks() -> None:
    listed = replace(SAID, probabilities={})
    assert posterior(listed, Prior({}), TASK.candidates).order == SAID.order
    scores = model_scores(listed)
    assert scores[IDS[0]] == 0.0
    assert scores[IDS[1]] > scores[IDS[2]]


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=60))
def test_standardized_scores_have_mean_0_and_deviation_1(values: list[float]) -> None:
    z = list(standardized({str(n): x for n, x in enumerate(values)}).values())
    if pstdev(values) > 1e-3 * (1 + max(map(abs, values))):
        assert fmean(z) == pytest.approx(0, abs=1e-6)
        assert pstdev(z) == pytest.approx(1, abs=1e-6)


def test_equal_scores_and_impossible_items_stay_finite() -> None:
    assert set(standardized({"a": 3.0, "b": 3.0}).values()) == {0.0}
    none = replace(SAID, probabilities={IDS[0]: 1.0})
    assert model_scores(none)[IDS[1]] == pytest.approx(-69.08, abs=0.01)


def test_a_tasks_prior_is_added_once_however_many_orders_are_asked() -> None:
    with_prior = replace(TASK, prior=Prior({IDS[2]: 0.7}, model_weight=0.3))
    context = LRGD_PROMPTS.ranking_context(with_prior)
    one = asyncio.run(ranking_of(Fixed(), context, with_prior))
    several = asyncio.run(ranking_of(ShuffledRanker(Fixed(), 3), context, with_prior))
    assert one.probabilities == pytest.approx(several.probabilities)
    assert one.probabilities != SAID.probabilities
    assert asyncio.run(ranking_of(Fixed(), context, TASK)) == SAID


def test_a_prior_survives_a_checkpoint_and_json() -> None:
    with_prior = replace(TASK, prior=Prior({IDS[2]: 0.7}, 0.3))
    assert type(with_prior)(**with_prior._asdict()) == with_prior
    as_json = TypeAdapter(RankingTask).dump_python(with_prior, mode="json")
    assert as_task(as_json) == with_prior
    assert Prior not in VALUES  # a checkpoint holds it as a mapping


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_a_logit_that_is_not_finite_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        Prior({"a": 0.0, "b": wrong})
    with pytest.raises(ValueError, match="finite"):
        Prior({"a": 0.0}, model_weight=wrong)
