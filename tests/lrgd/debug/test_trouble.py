"""A run's users by what went wrong, from journal and scores."""

from pathlib import Path
from typing import get_args

import pytest

from lrgd.agents.evaluator import effect
from lrgd.agents.generator import Verdict
from lrgd.agents.guard import Judgement
from lrgd.agents.values import Usage
from lrgd.core.errors import InputError
from lrgd.debug.trouble import NoteChange, Order, TroubleView, trouble_view
from lrgd.evals.runs.folder import RunFolder, RunHeader, Score, UserRecord
from lrgd.graphs import LoopSettings
from lrgd.graphs.state import PathState, Trial
from lrgd.memory import Demonstration

SEED = 7


def record(
    user: str, ranks: list[int], verdicts: list[Verdict] | None = None, collapsed: int = 0
) -> UserRecord:
    """One path with a note a round, of which each gave the true next item a rank."""
    trials = tuple(
        Trial(Demonstration(user, f"note {n}", 0, n, (rank,)), verdict)
        for n, (rank, verdict) in enumerate(
            zip(ranks, verdicts or ["usable"] * len(ranks), strict=True), 1
        )
    )
    judged = tuple(Judgement(0, n, 0.9, 0.0, True) for n in range(2, 2 + collapsed))
    chosen = max((t.demonstration for t in trials), key=lambda d: d.effect)
    return UserRecord(user, (PathState(0, trials),), judged, chosen, "rounds", Usage())


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """Five users, of whom `none` is not done and `new` is not scored."""
    made = RunFolder(tmp_path)
    users = ("harmed", "gained", "jumpy", "new", "none")
    settings = LoopSettings(seed=SEED)
    header = RunHeader(
        bundle="b", bundle_sha256="0", model="m", ranking="decision", users=users, settings=settings
    )
    made.begin(header, resume=False)
    made.records.append(record("harmed", [3, 3], collapsed=1))
    made.records.append(record("gained", [5, 4], ["usable", "names_target"]))
    made.records.append(record("jumpy", [1, 9]))
    made.records.append(record("new", [6, 6], collapsed=2))
    for user, zero, lrgd in (("harmed", 1, 8), ("gained", 8, 1), ("jumpy", 2, 3)):
        made.scores.append(Score("zero-shot", user, zero))
        made.scores.append(Score("LRGD", user, lrgd, seed=SEED))
        made.scores.append(Score("LRGD", user, 20, seed=SEED + 1))  # of another seeded
    return made


@pytest.mark.parametrize(
    ("order", "users"),
    [
        ("lost", ["harmed", "jumpy", "gained", "new"]),
        ("rank", ["harmed", "new", "jumpy", "gained"]),
        ("change", ["jumpy", "harmed", "new", "gained"]),
        ("collapsed", ["new", "harmed", "gained", "jumpy"]),
        ("refused", ["gained", "harmed", "jumpy", "new"]),
    ],
)
def test_the_worst_come_first(folder: RunFolder, order: Order, users: list[str]) -> None:
    assert [row.user_id for row in trouble_view(folder, order, 10).rows] == users


def test_every_order_is_tested() -> None:
    assert set(get_args(Order)) == {"lost", "rank", "change", "collapsed", "refused"}


def test_a_row_says_what_is_known(folder: RunFolder) -> None:
    view = trouble_view(folder, "lost", 2)
    assert (view.done, view.users, view.scored, view.more) == (4, 5, 3, 2)
    harmed, jumpy = view.rows
    assert harmed.lost == pytest.approx(effect(1) - effect(8))
    assert (harmed.zero_shot_rank, harmed.test_rank, harmed.validation_rank) == (1, 8, 3)
    assert jumpy.change == NoteChange(effect(9) - effect(1), 0, 2)
    new = next(r for r in trouble_view(folder, "lost", 9).rows if r.user_id == "new")
    assert (new.lost, new.test_rank, new.collapsed) == (None, None, 2)


def test_without_a_run_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no run at"):
        trouble_view(RunFolder(tmp_path / "nothing"), "lost", 10)


def test_a_run_without_a_finished_user_is_empty(tmp_path: Path, folder: RunFolder) -> None:
    folder.records.path.unlink()
    assert trouble_view(folder, "lost", 10) == TroubleView("lost", (), 0, 0, 5, 0)
