"""The prior of a run: fitted on validation tasks, together with what the model says."""

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from lrgd import runs
from lrgd.agents.prior import model_scores, standardized
from lrgd.agents.prompts import RankingContext
from lrgd.agents.values import Item, Ranking, RankingTask, ranking_from
from lrgd.core.errors import InputError, RankingFailed
from lrgd.evals.data.bundle import Bundle
from lrgd.evals.methods.evidence import PARTS, Evidence, Fused, Part, evidence_of
from lrgd.evals.runs.folder import RunFolder
from lrgd.evals.runs.fusing import fit_fused
from lrgd.evals.runs.prior import PriorFit, RunPrior, fit_prior
from lrgd.graphs import LoopSettings
from lrgd.workbench import ModelChoice


class Knowing:
    """A model that likes some items better than others, more or less rightly."""

    def __init__(self, liked: set[str], noise: float, failing: str = "") -> None:
        self._liked, self._noise, self._failing = liked, noise, failing

    async def rank(self, context: RankingContext, candidates: Sequence[Item]) -> Ranking:
        if self._failing and self._failing in context.text:
            raise RankingFailed("refused", "refused")
        draw = random.Random(context.text)
        scores = {c.id: 1.0 + (c.id in self._liked) + self._noise * draw.random()
                  for c in candidates}  # fmt: skip
        total = sum(scores.values())
        return ranking_from({i: x / total for i, x in scores.items()}, candidates)


@pytest.fixture(scope="module")
def evidence(bundle: Bundle) -> Evidence:
    assert bundle.training is not None
    return evidence_of(bundle.training)


def tasks(bundle: Bundle) -> list[RankingTask]:
    return [bundle.task(user, "validation") for user in bundle.users]


def liked(bundle: Bundle) -> set[str]:
    return {str(task.target_id) for task in tasks(bundle)}


async def test_a_model_that_knows_weighs_more_than_one_that_does_not(
    bundle: Bundle, evidence: Evidence
) -> None:
    knows = await fit_prior(tasks(bundle), evidence, Knowing(liked(bundle), 2.0), LoopSettings())
    guesses = await fit_prior(tasks(bundle), evidence, Knowing(set(), 1.0), LoopSettings())
    assert knows.weights["model"] > 2 * knows.standard_errors["model"]
    assert abs(guesses.weights["model"]) < 3 * guesses.standard_errors["model"]
    assert knows.weights.keys() == knows.standard_errors.keys() == set(PARTS)
    assert knows.without.keys() == set(PARTS)
    assert all(part not in others for part, others in knows.without.items())
    assert (knows.users, knows.tasks, knows.left_out) == (12, 12, 0)


async def test_without_the_model_it_is_the_fused_floor(bundle: Bundle, evidence: Evidence) -> None:
    fit = await fit_prior(tasks(bundle), evidence, Knowing(set(), 1.0), LoopSettings())
    floor = fit_fused(bundle, list(bundle.users), evidence)
    assert fit.without["model"] == pytest.approx(floor.weights, abs=1e-6)


async def test_a_prior_is_the_evidence_weighed_and_reads_no_target(
    bundle: Bundle, evidence: Evidence
) -> None:
    task = bundle.task(next(iter(bundle.users)), "test")
    weights: dict[Part, float] = {"popularity": 0.5, "item kNN": 2.0, "model": 0.3}
    prior = Fused(evidence, weights).prior(task.history, task.candidates)
    z = [
        evidence.standardized(s, task.history, task.candidates) for s in ("popularity", "item kNN")
    ]  # type: ignore[arg-type]
    assert prior.model_weight == 0.3
    assert prior.logits == pytest.approx({i: 0.5 * z[0][i] + 2.0 * z[1][i] for i in z[0]})


async def test_what_failed_is_left_out_and_counted(bundle: Bundle, evidence: Evidence) -> None:
    some = tasks(bundle)
    some[0] = replace(some[0], profile="unspeakable")
    ranker = Knowing(liked(bundle), 2.0, failing="unspeakable")
    fit = await fit_prior(some, evidence, ranker, LoopSettings())
    assert (fit.tasks, fit.left_out) == (11, 1)
    alone = await fit_prior(some[1:], evidence, Knowing(liked(bundle), 2.0), LoopSettings())
    assert fit.weights == pytest.approx(alone.weights)
    with pytest.raises(InputError, match="got none"):
        await fit_prior(some[:1], evidence, ranker, LoopSettings())


async def test_no_test_task_takes_part(bundle: Bundle, evidence: Evidence) -> None:
    """Other test targets and candidates, the same fit."""
    ranker = Knowing(liked(bundle), 2.0)
    fit = await fit_prior(tasks(bundle), evidence, ranker, LoopSettings())
    swapped = {
        name: replace(user, test=replace(user.test, target=user.test.candidates[0]))
        for name, user in bundle.users.items()
    }
    other = replace(bundle, users=swapped)
    assert await fit_prior(tasks(other), evidence, ranker, LoopSettings()) == fit


@pytest.fixture
def planned(bundle: Bundle, tmp_path: Path) -> runs.Run:
    bundle.save(tmp_path / "bundle")
    choice = ModelChoice("http://127.0.0.1:1/v1", "m", ranking="rerank")
    return runs.plan(tmp_path / "bundle", tmp_path / "run", choice, LoopSettings(), 12, "fused")


def test_every_task_of_a_run_brings_its_prior(planned: runs.Run, bundle: Bundle) -> None:
    runs.begin(planned, resume=False)
    fit = PriorFit(weights={"item kNN": 1.0, "model": 0.5}, standard_errors={}, without={}, users=1,
                   tasks=1)  # fmt: skip
    planned.folder.prior.write_text(fit.model_dump_json())
    opened = runs.reopen(planned.folder.folder, ModelChoice("http://127.0.0.1:1/v1", "m"))
    user = next(iter(bundle.users))
    for split in ("validation", "test"):
        task = opened.bundle.task(user, split)  # type: ignore[arg-type]
        assert task.prior is not None
        assert task.prior.model_weight == 0.5
    assert opened.bundle.sha256 == bundle.sha256
    variant = opened.variant(LoopSettings(dataset=bundle.name, model="m", paths=1))
    assert variant.bundle.task(user, "test").prior == opened.bundle.task(user, "test").prior


def test_a_prior_that_is_not_there_or_is_none_is_one_line(
    planned: runs.Run, bundle: Bundle, tmp_path: Path
) -> None:
    user = next(iter(bundle.users))
    with pytest.raises(InputError, match=r"prior\.json: the run's prior is not fitted"):
        planned.bundle.task(user, "test")
    (tmp_path / "prior.json").write_text(json.dumps({"weights": {}}))
    assert bundle.training is not None
    with pytest.raises(InputError, match=r"prior\.json: .*standard_errors"):
        RunPrior(tmp_path / "prior.json", bundle.training).fit  # noqa: B018


def test_a_bundle_without_training_part_has_no_prior(bundle: Bundle, tmp_path: Path) -> None:
    replace(bundle, training=None).save(tmp_path / "old")
    choice = ModelChoice("http://127.0.0.1:1/v1", "m", ranking="rerank")
    with pytest.raises(InputError, match="a prior learns from a bundle's training part"):
        runs.plan(tmp_path / "old", tmp_path / "run", choice, LoopSettings(), 3, "fused")
    assert not RunFolder(tmp_path / "run").prior.exists()


def test_what_a_model_says_is_standardised(bundle: Bundle) -> None:
    ranking = ranking_from({"a": 0.7, "b": 0.2, "c": 0.1}, [Item(i, i) for i in "abc"])
    z = standardized(model_scores(ranking))
    assert sum(z.values()) == pytest.approx(0)
    assert z["a"] > z["b"] > z["c"]
