"""All that a scored run has to say, computed once, for the terminal, the page and the JSON."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from lrgd.evals.data.bundle import Bundle
from lrgd.evals.methods import FLOORS, METHODS
from lrgd.evals.methods.evidence import FusedFit
from lrgd.evals.metrics import MAIN_METRIC
from lrgd.evals.report.audit import audit_rates, rejections
from lrgd.evals.report.correlation import (
    Correlation,
    DemonstrationSet,
    correlations,
    demonstration_sets,
)
from lrgd.evals.report.method_results import (
    MethodResult,
    MethodScores,
    method_results,
    scores_by_method,
)
from lrgd.evals.report.rounds import RoundMeans, judgements, rejected, round_means, trials_of
from lrgd.evals.report.stories import Story, stories
from lrgd.evals.runs.evaluation import Evaluation, SeededMethod
from lrgd.evals.runs.folder import FailedCall, RunHeader, Score, UserRecord
from lrgd.evals.statistics import (
    Interval,
    Verdict,
    interval_text,
    p_text,
    paired_difference,
    sign_flip_p,
    verdict,
)

FLOOR = "fused"
"""The floor that the first sentence is about: the strongest without a language model."""
UNPERTURBED = "LRGD, no perturbation"


@dataclass(frozen=True, slots=True)
class Report:
    """What a scored run says."""

    bundle: Bundle
    header: RunHeader
    evaluation: Evaluation
    records: Sequence[UserRecord]
    """The run's own optimisation, user by user."""
    rows: Sequence[MethodResult]
    correlations: Sequence[Correlation]
    sets: Sequence[DemonstrationSet]
    """What claim 2 is about."""
    rounds: Mapping[str, Sequence[RoundMeans]]
    """By round, with perturbation and, where that was optimised too, without."""
    stories: Sequence[Story]
    failed: Sequence[FailedCall]
    """Calls that got no answer; `lrgd evaluate` asks again."""
    to_floor: tuple[Interval, float] | None
    """LRGD minus the floor `fused` in nDCG@10, and p of the sign-flip test, of this one comparison;
    None where the floor is not there."""
    weights: Mapping[str, FusedFit] = field(default_factory=dict)
    """What the parts weigh, in the floor "fused" and in the run's "prior"."""

    @property
    def headline(self) -> str:
        """What a reader should know first."""
        said = headline(self.rows, self.evaluation.reference, self.to_floor)
        if not self.untrained:
            return said
        return (
            f"{said} The bundle has no training part, so there is no {', '.join(self.untrained)}."
        )

    @property
    def untrained(self) -> list[str]:
        """Methods that are left out, since the bundle has no training part."""
        shown = {row.method for row in self.rows}
        return [
            m
            for m in self.evaluation.methods
            if METHODS[m].needs == "training part" and m not in shown
        ]

    @property
    def audited(self) -> bool:
        """Whether any ranking was less than whole, or several candidate orders were asked."""
        return any(not row.audit.clean or row.audit.position_sd is not None for row in self.rows)

    def as_dict(self) -> dict[str, Any]:
        """Everything that the tables and the page state, as one JSON object."""
        return {
            "bundle_sha256": self.header.bundle_sha256,
            "model": self.header.model,
            "ranking": self.header.ranking,
            "shuffles": self.header.shuffles,
            "users": len(self.records),
            "settings": self.header.settings.model_dump(),
            "seeds": self.evaluation.seeds,
            "reference": self.evaluation.reference,
            "methods": [asdict(row) for row in self.rows],
            "agreement": [asdict(row) for row in self.correlations],
            "demonstration_sets": [asdict(each) for each in self.sets],
            "rounds": {name: [asdict(row) for row in rows] for name, rows in self.rounds.items()},
            "optimization": optimization_totals(self.records),
            "left_out_methods": self.untrained,
            "weights": {name: fitted.model_dump() for name, fitted in self.weights.items()},
            "failed_calls": dict(Counter(call.kind for call in self.failed)),
        }


def report_of(
    bundle: Bundle,
    header: RunHeader,
    evaluation: Evaluation,
    methods: Sequence[SeededMethod],
    scores: Sequence[Score],
    failed: Sequence[FailedCall] = (),
    weights: Mapping[str, FusedFit] | None = None,
) -> Report:
    """Compute what the scores and the records say.

    Args:
        methods: the evaluation's methods under their seeds, with LRGD among them.
        scores: a score for each of them and user, and perhaps others.
        failed: calls that got no answer this time: their users are left out of every row.
        weights: what the parts weigh, in the floor "fused" and in the run's "prior".

    Raises:
        InputError: methods were scored on different users.
    """
    left_out = {call.user_id for call in failed}
    by_method = scores_by_method(scores, methods, left_out)
    records = by_method["LRGD"].methods[0].records
    rounds = {"LRGD": round_means(records)}
    if UNPERTURBED in by_method:
        rounds[UNPERTURBED] = round_means(by_method[UNPERTURBED].methods[0].records)
    return Report(
        bundle=bundle,
        header=header,
        evaluation=evaluation,
        records=records,
        rows=method_results(by_method, evaluation.reference, len(left_out)),
        correlations=correlations(by_method),
        sets=demonstration_sets(by_method),
        rounds=rounds,
        stories=stories(bundle, records, by_method, evaluation.reference),
        failed=failed,
        to_floor=_to_floor(by_method),
        weights=weights or {},
    )


def _to_floor(by_method: Mapping[str, MethodScores]) -> tuple[Interval, float] | None:
    if FLOOR not in by_method:
        return None
    lrgd, floor = (by_method[name].values[MAIN_METRIC] for name in ("LRGD", FLOOR))
    return paired_difference(lrgd, floor), sign_flip_p(lrgd, floor)


def headline(
    rows: Sequence[MethodResult], reference: str, to_floor: tuple[Interval, float] | None = None
) -> str:
    """Where LRGD stands to the strongest floor, to the reference, and to all floors.

    Args:
        to_floor: its difference to the floor `fused`, and p; None: no sentence about it.
    """
    by_name = {row.method: row for row in rows}
    lrgd = by_name["LRGD"]
    floors_there = [name for name in FLOORS if name in by_name]
    above = [m for m in floors_there if by_name[m].means[MAIN_METRIC] >= lrgd.means[MAIN_METRIC]]
    if above:
        *most, last = above
        names = f"floors {', '.join(most)} and {last}" if most else f"floor {last}"
        floors = f"LRGD does not beat the {names}."
    else:
        floors = "It is above all floors."
    first = []
    if to_floor is not None and reference != FLOOR:  # else the next sentence says it
        said = verdict(*to_floor, lrgd.n)
        first = [_difference(f"the floor {FLOOR}", *to_floor, lrgd.n, said)]
    return " ".join([*first, *_against(lrgd, reference), floors])


def _against(lrgd: MethodResult, reference: str) -> list[str]:
    """A sentence about the difference to the reference; none where LRGD is the reference."""
    if lrgd.verdict is None:
        return []
    difference, p = lrgd.differences[MAIN_METRIC], lrgd.p_values[MAIN_METRIC]
    return [_difference(reference, difference, p, lrgd.n, lrgd.verdict)]


def _difference(other: str, difference: Interval, p: float, users: int, said: Verdict) -> str:
    return (
        f"LRGD minus {other}, {MAIN_METRIC}: {interval_text(difference)} (95 % interval), "
        f"p {p_text(p)}: {users} users, {said}."
    )


def optimization_totals(records: Sequence[UserRecord]) -> dict[str, Any]:
    """What the optimisation of some users cost, and what the guard did in it."""
    judged, trials = list(judgements(records)), trials_of(records)
    return {
        "calls": sum(r.usage.calls for r in records),
        "prompt_tokens": sum(r.usage.prompt_tokens for r in records),
        "completion_tokens": sum(r.usage.completion_tokens for r in records),
        "seconds_a_user": sum(r.seconds for r in records) / len(records),
        "audit": asdict(audit_rates([t.audit for t in trials if t.audit])),
        "rejected_demonstrations": rejected(records),
        "rejections": rejections(trials),
        "collapses": sum(j.collapsed for j in judged),
        "perturbations": sum(j.source is not None for j in judged),
    }
