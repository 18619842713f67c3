"""What happened to single users: three whom a reader should see, and one user's paths as tables."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lrgd.core.table import Table
from lrgd.evals.data.bundle import Bundle
from lrgd.evals.report.method_results import MethodScores
from lrgd.evals.runs.folder import UserRecord
from lrgd.graphs.state import PathState

STORIES = 3


@dataclass(frozen=True, slots=True)
class Story:
    """One user: what was known, what was tried, and what came of it on the test task."""

    why: str
    """Why this user is shown."""
    moved: bool
    """Whether it is for what LRGD did to the test task's ranking, the most or the least good."""
    user_id: str
    history: tuple[str, ...]
    """Titles, oldest first."""
    validation_target: str
    test_target: str
    paths: tuple[Table, ...]
    chosen: str
    ranks: Table
    """Where each method put the test target; over seeds, the mean."""


def stories(
    bundle: Bundle,
    records: Sequence[UserRecord],
    scores: Mapping[str, MethodScores],
    reference: str,
) -> list[Story]:
    """Three users: LRGD's largest gain over the reference, its largest loss, a perturbed one."""
    users = scores["LRGD"].users
    gains = scores["LRGD"].values["Effect_D"] - scores[reference].values["Effect_D"]
    gained = sorted((float(gain), user) for gain, user in zip(gains, users, strict=True))
    by_user = {record.user_id: record for record in records}
    shown: dict[str, str] = {}
    extremes = {_user(gained[-1], 1), _user(gained[0], -1)}
    for user, why in (
        (_user(gained[-1], 1), f"LRGD gained most over {reference} on the test task"),
        (_user(gained[0], -1), f"LRGD lost most to {reference} on the test task"),
        (perturbed_first(records).user_id, "most was gained in the optimisation"),
    ):
        if user is not None:
            shown.setdefault(user, why)
    for user in users:
        if len(shown) < STORIES:
            shown.setdefault(user, "the first of the others")
    return [
        _story(why, user in extremes, bundle, by_user[user], scores) for user, why in shown.items()
    ]


def perturbed_first(records: Iterable[UserRecord]) -> UserRecord:
    """The user to tell about: one with a perturbation if any, of those the largest gain."""

    def interest(record: UserRecord) -> tuple[bool, float]:
        perturbed = any(j.source is not None for j in record.judgements)
        first, chosen = record.first, record.chosen
        return perturbed, (chosen.effect - first.effect) if chosen and first else 0.0

    return max(records, key=interest)


def path_table(record: UserRecord, path: PathState) -> Table:
    """One path, round by round: quality, similarity to the demonstration before, and the text."""
    judged = {j.round: j for j in record.judgements if j.path == path.index}
    rows = []
    for trial in path.trials:
        d, j = trial.demonstration, judged.get(trial.demonstration.round)
        text = d.text if trial.verdict == "usable" else f"[rejected: {trial.verdict}]"
        if d.perturbed_by:
            text += "  <- perturbed"
        if j and j.collapsed:
            text += "  COLLAPSE" + (
                f", path {j.source} is injected" if j.source is not None else ""
            )
        similarity = f"{j.similarity:.2f}" if j and j.similarity is not None else ""
        rows.append((str(d.round), f"{d.effect:.2f}", str(trial.rank or "-"), similarity, text))
    head = ("round", "Effect_D", "rank", "similarity", "demonstration")
    return Table(f"path_{path.index}", f"path {path.index}", head, tuple(rows), prose=True)


def _user(gained: tuple[float, str], sign: int) -> str | None:
    gain, user = gained
    return user if gain * sign > 0 else None


def _story(
    why: str, moved: bool, bundle: Bundle, record: UserRecord, scores: Mapping[str, MethodScores]
) -> Story:
    user = record.user_id
    validation, test = (bundle.task(user, split) for split in ("validation", "test"))
    assert validation.target is not None
    assert test.target is not None
    return Story(
        why=why,
        moved=moved,
        user_id=user,
        history=tuple(item.title for item in validation.history),
        validation_target=validation.target.title,
        test_target=test.target.title,
        paths=tuple(path_table(record, path) for path in record.paths),
        chosen=record.chosen.text if record.chosen else "",
        ranks=_ranks(user, scores),
    )


def _ranks(user: str, scores: Mapping[str, MethodScores]) -> Table:
    rows = []
    for name, method in scores.items():
        at = method.users.index(user)
        mean = sum(row[at].rank for row in method.scores) / len(method.scores)
        rows.append((name, f"{mean:g}"))
    return Table("ranks", "Rank of the true next item", ("method", "rank"), tuple(rows))
