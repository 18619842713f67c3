"""Two runs on the same test tasks, paired by user: another model, another setting, another seed."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lrgd.core.errors import InputError
from lrgd.core.table import Table
from lrgd.evals.methods import METHODS
from lrgd.evals.metrics import MAIN_METRIC, METRICS
from lrgd.evals.report.tables import users_text
from lrgd.evals.runs.folder import RunFolder, RunHeader, Score
from lrgd.evals.statistics import (
    Interval,
    Values,
    Verdict,
    holm,
    interval_text,
    p_text,
    paired_difference,
    sign_flip_p,
    verdict,
)


@dataclass(frozen=True, slots=True)
class MethodComparison:
    """One method in both runs."""

    method: str
    a: float
    b: float
    """Mean nDCG@10 of each run."""
    difference: Interval
    """B minus A, paired by user."""
    p: float
    """Sign-flip permutation test, Holm-adjusted over the methods."""
    verdict: Verdict
    """Whether the difference can be told from 0."""


@dataclass(frozen=True, slots=True)
class RunComparison:
    """Two runs, method by method."""

    settings: Mapping[str, tuple[str, str]]
    """What the runs differ in: name -> A's, B's."""
    users: int
    """How many users both have scored."""
    rows: tuple[MethodComparison, ...]

    def as_dict(self) -> dict[str, Any]:
        """The comparison as it is written in JSON."""
        return asdict(self)

    def table(self) -> Table:
        """Method by method, as text."""
        rows = tuple(
            (row.method, f"{row.a:.4f}", f"{row.b:.4f}", interval_text(row.difference), _p(row))
            for row in self.rows
        )
        title = f"{MAIN_METRIC}, {users_text(self.users, len(self.rows))}, paired"
        return Table("comparison", title, ("method", "A", "B", "B - A [95 %]", "p"), rows)


def compare_runs(a: Path, b: Path) -> RunComparison:
    """Pair two scored runs by user.

    Raises:
        InputError: no run there, other test tasks, or fewer than two users in common.
    """
    folders = RunFolder(a), RunFolder(b)
    headers = tuple(folder.header() for folder in folders)
    if len({header.bundle_sha256 for header in headers}) > 1:
        raise InputError(f"{a} and {b} are of different bundles: their users cannot be paired")
    scores = [_by_method(folder.scores.read()) for folder in folders]
    methods = [m for m in METHODS if all(m in of_run for of_run in scores)]
    common = [set(of_run[m]) for of_run in scores for m in methods]
    users = sorted(set.intersection(*common)) if common else []
    if len(users) < 2:
        raise InputError(f"{a} and {b} have no two scored users in common: `lrgd evaluate` both")
    of_a, of_b = ({m: np.array([s[m][u] for u in users]) for m in methods} for s in scores)
    p_values = holm({m: sign_flip_p(of_b[m], of_a[m]) for m in methods})
    rows = tuple(_compared(m, of_a[m], of_b[m], p_values) for m in methods)
    return RunComparison(_differing(*headers), len(users), rows)


def _by_method(scores: Sequence[Score]) -> dict[str, dict[str, float]]:
    """Method -> user -> nDCG@10, the mean over seeds."""
    grouped: dict[str, dict[str, list[int]]] = {}
    for score in scores:
        grouped.setdefault(score.method, {}).setdefault(score.user_id, []).append(score.rank)
    return {
        method: {user: float(METRICS[MAIN_METRIC](ranks).mean()) for user, ranks in users.items()}
        for method, users in grouped.items()
    }


def _compared(method: str, a: Values, b: Values, p_values: Mapping[str, float]) -> MethodComparison:
    difference, p = paired_difference(b, a), p_values[method]
    said = verdict(difference, p, len(a), len(p_values))
    return MethodComparison(method, float(a.mean()), float(b.mean()), difference, p, said)


def _p(row: MethodComparison) -> str:
    return p_text(row.p, enough=row.verdict != "too few to tell")


def _differing(a: RunHeader, b: RunHeader) -> dict[str, tuple[str, str]]:
    old, new = _settings(a), _settings(b)
    return {key: (old[key], new[key]) for key in old if old[key] != new[key]}


def _settings(header: RunHeader) -> dict[str, str]:
    own = header.model_dump(exclude={"bundle", "users", "settings"})
    return {key: str(value) for key, value in {**header.settings.model_dump(), **own}.items()}
