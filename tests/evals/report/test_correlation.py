import pytest

from lrgd.agents.values import Usage
from lrgd.evals.report.correlation import correlations, demonstration_sets
from lrgd.evals.report.method_results import MethodScores, scores_by_method
from lrgd.evals.runs.evaluation import Evaluation, methods_of
from lrgd.evals.runs.folder import Score, UserRecord
from lrgd.graphs import LoopSettings
from lrgd.graphs.state import PathState, Trial
from lrgd.memory import Demonstration

EFFECTS = {"a": 0.2, "b": 0.4, "c": 0.6, "d": 0.8}
"""Of the chosen demonstration; the first one's is half of it."""


def record(user: str) -> UserRecord:
    effect = EFFECTS[user]
    first, chosen = (Demonstration(user, f"{user} {n}", 1, n, worth=effect * n / 2) for n in (1, 2))
    path = PathState(1, (Trial(first, "usable"), Trial(chosen, "usable")))
    return UserRecord(user, (path,), (), chosen, "rounds", Usage())


def scored(ranks: dict[str, list[int]], other: int = 5) -> dict[str, MethodScores]:
    methods = list(
        methods_of(Evaluation(), LoopSettings(), lambda settings: [record(u) for u in EFFECTS])
    )
    scores = [
        Score(
            seeded.method.name,
            user,
            ranks.get(seeded.method.name, 4 * [other])[n],
            seed=seeded.seed,
        )
        for seeded in methods
        for n, user in enumerate(EFFECTS)
    ]
    return scores_by_method(scores, methods)


def test_better_demonstrations_that_rank_higher_agree() -> None:
    found = {c.over: c for c in correlations(scored({"LRGD": [9, 6, 3, 1]}))}
    assert found["users, LRGD"].spearman == pytest.approx(1)
    assert found["users, gain of LRGD over ICL"].spearman == pytest.approx(1)
    assert found["users, LRGD"].n == 4
    turned = {c.over: c for c in correlations(scored({"LRGD": [1, 3, 6, 9]}))}
    assert turned["users, LRGD"].spearman == pytest.approx(-1)


def test_nothing_is_said_where_nothing_differs() -> None:
    assert correlations(scored({})) == []


def test_a_set_is_one_demonstration_a_user() -> None:
    first, chosen = demonstration_sets(scored({"LRGD": [1, 1, 1, 1]}))
    assert (first.method, first.effect) == ("ICL", pytest.approx(0.25))
    assert (chosen.method, chosen.effect, chosen.ndcg) == ("LRGD", pytest.approx(0.5), 1.0)
