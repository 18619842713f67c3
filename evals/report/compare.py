"""Two runs on the same test tasks, paired by user: another model, another setting, another seed."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrgd.core.errors import InputError
from lrgd.evals.methods import METHODS
from lrgd.evals.metrics import METRICS
from lrgd.evals.report.agreement import TESTED
from lrgd.evals.report.tables import Table, interval_text
from lrgd.evals.runs.folder import RunFolder, RunHeader, Score
from lrgd.evals.statistics import Interval, holm, p_text, paired_difference, sign_flip_p


@dataclass(frozen=True, slots=True)
class Compared:
    """One method in both runs."""

    method: str
    a: float
    b: float
    """Mean nDCG@10 of each run."""
    difference: Interval
    """B minus A, paired by user."""
    p: float
    """Sign-flip permutation test, Holm-adjusted over the methods."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs, method by method."""

    settings: Mapping[str, tuple[str, str]]
    """What the runs differ in: name -> A's, B's."""
    users: int
    """Users that both have scored."""
    rows: tuple[Compared, ...]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def table(self) -> Table:
        """Method by method, as text."""
        rows = (
            (c.method, f"{c.a:.4f}", f"{c.b:.4f}", interval_text(c.difference), p_text(c.p))
            for c in self.rows
        )
        title = f"{TESTED}, {self.users} users, paired"
        head = ("method", "A", "B", "B - A [95 %]", "p")
        return Table("comparison", title, head, tuple(rows))


def compare_runs(a: Path, b: Path) -> Comparison:
    """Pair two scored runs by user.

    Raises:
        InputError: no run there, other test tasks, or fewer than two users in common.
    """
    folders = RunFolder(a), RunFolder(b)
    headers = tuple(folder.header() for folder in folders)
    if len({header.bundle_sha256 for header in headers}) > 1:
        raise InputError(f"{a} and {b} are of different bundles: their users cannot be paired")
    found = [_by_method(folder.scores.read()) for folder in folders]
    methods = [m for m in METHODS if all(m in scores for scores in found)]
    common = [set(scores[m]) for scores in found for m in methods]
    users = sorted(set.intersection(*common)) if common else []
    if len(users) < 2:
        raise InputError(f"{a} and {b} have no two scored users in common: `lrgd evaluate` both")
    of_a, of_b = ({m: np.array([s[m][u] for u in users]) for m in methods} for s in found)
    p_values = holm({m: sign_flip_p(of_b[m], of_a[m]) for m in methods})
    rows = tuple(_compared(m, of_a[m], of_b[m], p_values[m]) for m in methods)
    return Comparison(_differing(*headers), len(users), rows)


def _by_method(scores: Sequence[Score]) -> dict[str, dict[str, float]]:
    """Method -> user -> nDCG@10, the mean over seeds."""
    grouped: dict[str, dict[str, list[int]]] = {}
    for score in scores:
        grouped.setdefault(score.method, {}).setdefault(score.user_id, []).append(score.rank)
    return {
        method: {user: float(METRICS[TESTED](ranks).mean()) for user, ranks in users.items()}
        for method, users in grouped.items()
    }


def _compared(method: str, a: NDArray[np.float64], b: NDArray[np.float64], p: float) -> Compared:
    return Compared(method, float(a.mean()), float(b.mean()), paired_difference(b, a), p)


def _differing(a: RunHeader, b: RunHeader) -> dict[str, tuple[str, str]]:
    old, new = _settings(a), _settings(b)
    return {key: (old[key], new[key]) for key in old if old[key] != new[key]}


def _settings(header: RunHeader) -> dict[str, str]:
    own = header.model_dump(exclude={"bundle", "users", "settings"})
    return {key: str(value) for key, value in {**header.settings.model_dump(), **own}.items()}
