from collections.abc import Sequence
from dataclasses import fields, replace
from math import log1p, sqrt
from statistics import fmean, pstdev

import pytest

from lrgd.agents.values import Item, Prior, Ranking, RankingTask, Usage
from lrgd.core.errors import InputError
from lrgd.evals.data.bundle import Bundle, FrozenTask
from lrgd.evals.methods import FLOORS, METHODS, Question, Resources
from lrgd.evals.methods.evidence import SOURCES, Fused, evidence_of
from lrgd.evals.methods.item_knn import item_knn
from lrgd.evals.runs.evaluation import SeededMethod
from lrgd.evals.runs.folder import RunFolder, UserRecord
from lrgd.evals.runs.fusing import fit_fused
from lrgd.evals.runs.scoring import score_users
from lrgd.graphs import LoopSettings
from lrgd.memory import Demonstration
from tests.evals.trained import training_part
from tests.scripted import WordRanker, hashed_words

QUESTION = Question(
    "u",
    (Item("h1", "Copper Crow Card Game"), Item("h2", "Herb Seeds"), Item("h3", "Viking Card Game")),
    (Item("a", "Merino Wool"), Item("b", "Viking Puzzle"), Item("c", "Herb Seeds by Sunfold")),
)
TRAINING = training_part({"1": "h1 h3 b", "2": "h3 b", "3": "h2 c", "4": "c a", "5": "c a"})
EVIDENCE = evidence_of(TRAINING)
RESOURCES = Resources(
    WordRanker(),
    hashed_words,
    LoopSettings(),
    {"a": 2, "c": 3},
    EVIDENCE,
    Fused(EVIDENCE, {"popularity": 0.5, "item kNN": 2.0, "BM25": 1.0}),
)


async def order(method: str, question: Question = QUESTION) -> list[str]:
    record: UserRecord = None  # type: ignore[assignment]  # floors read none
    ranking = await METHODS[method].rank(RESOURCES, question, record)
    assert ranking.usage.calls == 0
    return list(ranking.order)


async def test_bm25_counts_shared_words() -> None:
    assert await order("BM25") == ["c", "b", "a"]  # two words shared, one, none


async def test_the_last_item_alone_decides_for_the_floor_of_its_name() -> None:
    assert (await order("last item"))[0] == "b"
    assert (await order("MiniLM cosine"))[0] == "c"  # over the last three the seeds weigh more


@pytest.mark.parametrize("method", FLOORS)
async def test_floors_rank_titles_without_words_in_common_or_without_words(method: str) -> None:
    strange = (Item("a", "!!!"), Item("b", "日本語"), Item("c", "a"))
    question = Question("u", (Item("h", "???"),), strange)
    assert sorted(await order(method, question)) == ["a", "b", "c"]


@pytest.mark.parametrize("method", FLOORS)
async def test_floors_rank_for_a_user_without_history(method: str) -> None:
    found = await order(method, replace(QUESTION, history=()))
    by_popularity = {"popularity", "item kNN", "BM25 + popularity", "BM25 + item kNN", "fused"}
    if method in by_popularity:
        assert found == ["c", "a", "b"]
    elif method != "random":
        assert found == ["a", "b", "c"]


async def test_popularity_is_blind_to_the_history() -> None:
    assert await order("popularity") == ["c", "a", "b"]


def test_item_knn_is_the_cosine_of_who_bought_both_and_a_step_back_weighs_less() -> None:
    scores = item_knn(TRAINING).scores(QUESTION.history, QUESTION.candidates)
    # h3 and b: bought by the same two; h1 and b: one of them bought h1. h2 and c: one of c's three.
    assert scores == pytest.approx(
        {"a": 0.0, "b": 1.0 + 0.8**2 * 1 / sqrt(1 * 2), "c": 0.8 * 1 / sqrt(1 * 3)}
    )


def test_item_knn_is_the_same_by_way_of_the_whole_matrix(bundle: Bundle) -> None:
    assert bundle.training is not None
    knn, task = item_knn(bundle.training), bundle.task(next(iter(bundle.users)), "test")
    cosines = (knn.rows @ knn.rows.T).todense()
    weights = [0.8**back for back in range(len(task.history))][::-1]
    past = [(knn.places[i.id], w) for i, w in zip(task.history, weights, strict=True)
            if i.id in knn.places]  # fmt: skip
    found = knn.scores(task.history, task.candidates)
    for item, score in found.items():
        wanted = sum(w * cosines[knn.places[item], at] for at, w in past) if (
            item in knn.places
        ) else 0.0  # fmt: skip
        assert score == pytest.approx(wanted)
    assert max(found.values()) > 0


def test_an_item_that_was_never_bought_scores_0_and_takes_its_step() -> None:
    unknown = Item("new", "Brand New")
    knn = item_knn(TRAINING)
    scores = knn.scores((QUESTION.history[2], unknown), (*QUESTION.candidates, unknown))
    assert scores == {"a": 0.0, "b": pytest.approx(0.8), "c": 0.0, "new": 0.0}
    assert EVIDENCE.scores("popularity", (), (unknown,)) == {"new": 0.0}
    assert EVIDENCE.scores("popularity", (), QUESTION.candidates)["c"] == log1p(3)


def test_an_item_bought_twice_by_one_user_counts_once() -> None:
    twice = training_part({"1": "h1 h3 b b", "2": "h3 b h3", "3": "h2 c", "4": "c a", "5": "c a"})
    scores = [
        item_knn(part).scores(QUESTION.history, QUESTION.candidates) for part in (TRAINING, twice)
    ]
    assert scores[0] == scores[1]


async def test_candidates_that_are_equal_to_item_knn_are_ordered_by_popularity() -> None:
    question = replace(QUESTION, history=(Item("h9", "never bought"),))
    assert await order("item kNN", question) == ["c", "a", "b"]


async def test_fused_adds_standardised_scores_with_their_weights() -> None:
    task = QUESTION.history, QUESTION.candidates
    raw = {source: EVIDENCE.scores(source, *task) for source in SOURCES}
    weights = {"popularity": 0.5, "item kNN": 2.0, "BM25": 1.0}
    wanted = {
        c.id: sum(
            weights[s] * (x[c.id] - fmean(x.values())) / pstdev(x.values()) for s, x in raw.items()
        )
        for c in QUESTION.candidates
    }
    assert RESOURCES.fused is not None
    assert RESOURCES.fused.logits(*task) == pytest.approx(wanted)
    assert await order("fused") == sorted(wanted, key=lambda i: -wanted[i])


async def test_without_a_training_part_what_learns_from_it_says_so() -> None:
    bare = replace(RESOURCES, evidence=None, fused=None)
    record: UserRecord = None  # type: ignore[assignment]
    for name in FLOORS:
        if METHODS[name].needs == "training part":
            with pytest.raises(InputError):
                await METHODS[name].rank(bare, QUESTION, record)


def test_a_question_holds_all_of_a_task_but_its_target() -> None:
    assert {f.name for f in fields(RankingTask)} - {f.name for f in fields(Question)} == {
        "target_id"
    }
    task = RankingTask("u", QUESTION.history, QUESTION.candidates, "b", "likes wool", Prior({}))
    question = Question.of(task)
    assert question.task == replace(task, target_id=None)
    assert not any(task.target_id == getattr(question, f.name) for f in fields(Question))


def with_other_targets(bundle: Bundle) -> Bundle:
    """Everybody's targets, of all splits, are other candidates of the same sets."""

    def other(task: FrozenTask) -> FrozenTask:
        return replace(task, target=next(i for i in task.candidates if i != task.target))

    users = {
        name: replace(user, test=other(user.test), validation=other(user.validation))
        for name, user in bundle.users.items()
    }
    return replace(bundle, users=users)


async def orders(bundle: Bundle, resources: Resources, run: RunFolder) -> dict[str, list[Ranking]]:
    """Method -> its rankings of the users' test tasks, as `score_users` asks for them."""
    found: dict[str, list[Ranking]] = {}
    users = list(bundle.users)[:4]
    records = [
        UserRecord(u, (), (), Demonstration(u, "likes merino", 0, 1, (1,)), "rounds", Usage())
        for u in users
    ]

    def seeded(name: str) -> SeededMethod:
        method = METHODS[name]

        async def rank(r: Resources, question: Question, record: UserRecord) -> Ranking:
            found.setdefault(name, []).append(await method.rank(r, question, record))
            return found[name][-1]

        return SeededMethod(replace(method, rank=rank), None, resources.settings, records)

    run.folder.mkdir()
    await score_users(bundle, [seeded(name) for name in METHODS], resources, run.scores, at_once=1)
    return found


async def test_no_method_ranks_otherwise_when_every_target_is_another(
    bundle: Bundle, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("swap")
    assert bundle.training is not None
    evidence = evidence_of(bundle.training)
    fused = Fused(evidence, fit_fused(bundle, list(bundle.users), evidence).weights)
    without = dict.fromkeys(SOURCES, fused)
    tools = Resources(
        WordRanker(), hashed_words, LoopSettings(), bundle.popularity, evidence, fused, without
    )
    ours = await orders(bundle, tools, RunFolder(folder / "a"))
    theirs = await orders(with_other_targets(bundle), tools, RunFolder(folder / "b"))
    assert list(ours) == list(METHODS)
    assert ours == theirs


def test_the_weights_of_fused_never_depend_on_a_test_task(bundle: Bundle) -> None:
    assert bundle.training is not None
    evidence, users = evidence_of(bundle.training), list(bundle.users)
    fitted = fit_fused(bundle, users, evidence)
    items: Sequence[str] = list(bundle.items)[:5]
    nonsense = FrozenTask((items[4],), tuple(items), items[0])
    others = {name: replace(user, test=nonsense) for name, user in bundle.users.items()}
    assert fit_fused(replace(bundle, users=others), users, evidence) == fitted
    assert fit_fused(with_other_targets(bundle), users, evidence) != fitted
    assert (fitted.users, fitted.tasks) == (len(users), len(users))
