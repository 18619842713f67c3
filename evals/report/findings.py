"""All that a scored run has to say, computed once, for the terminal, the page and the JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lrgd.evals.data.bundle import Bundle
from lrgd.evals.methods import FLOORS
from lrgd.evals.report.agreement import TESTED, Correlation, Point, correlations, demonstration_sets
from lrgd.evals.report.audit import rates, rejections
from lrgd.evals.report.curves import RoundMeans, judgements, rejected, round_means, trials_of
from lrgd.evals.report.results import MethodResult, results, scored_methods
from lrgd.evals.report.stories import Story, stories
from lrgd.evals.runs.arms import Arm, Evaluation
from lrgd.evals.runs.folder import RunHeader, Score, UserRecord

UNPERTURBED = "LRGD, no perturbation"


@dataclass(frozen=True, slots=True)
class Findings:
    """A run's findings."""

    bundle: Bundle
    header: RunHeader
    evaluation: Evaluation
    records: Sequence[UserRecord]
    """Of the run's own optimisation."""
    rows: Sequence[MethodResult]
    correlations: Sequence[Correlation]
    sets: Sequence[Point]
    """Demonstration sets, for claim 2."""
    rounds: Mapping[str, Sequence[RoundMeans]]
    """By round, with perturbation and, where that was optimised too, without."""
    stories: Sequence[Story]


def findings(
    bundle: Bundle,
    header: RunHeader,
    evaluation: Evaluation,
    arms: Sequence[Arm],
    scores: Sequence[Score],
) -> Findings:
    """Compute what the scores and the records say.

    Args:
        arms: of the evaluation, with LRGD among them.
        scores: a score for each arm and user, and perhaps others.

    Raises:
        InputError: methods were scored on different users.
    """
    scored = scored_methods(scores, arms)
    records = scored["LRGD"].arms[0].records
    rounds = {"LRGD": round_means(records)}
    if UNPERTURBED in scored:
        rounds[UNPERTURBED] = round_means(scored[UNPERTURBED].arms[0].records)
    return Findings(
        bundle=bundle,
        header=header,
        evaluation=evaluation,
        records=records,
        rows=results(scored, evaluation.reference),
        correlations=correlations(scored),
        sets=demonstration_sets(scored),
        rounds=rounds,
        stories=stories(bundle, records, scored, evaluation.reference),
    )


def verdict(rows: Sequence[MethodResult], reference: str) -> str:
    """What a reader should know first: where LRGD stands to the reference and to the floors."""
    by_name = {row.method: row for row in rows}
    lrgd = by_name["LRGD"]
    said = []
    if difference := lrgd.differences.get(TESTED):
        sure = "clear of 0" if difference.low > 0 or difference.high < 0 else "not clear of 0"
        said.append(
            f"LRGD minus {reference}, {TESTED}: {difference.mean:+.4f}, 95 % interval "
            f"{difference.low:+.4f} to {difference.high:+.4f}, {sure} ({lrgd.n} users)."
        )
    above = [m for m in FLOORS if by_name[m].means[TESTED] >= lrgd.means[TESTED]]
    if above:
        *most, last = above
        names = f"floors {', '.join(most)} and {last}" if most else f"floor {last}"
        said.append(f"LRGD does not beat the {names}.")
    else:
        said.append("It is above all floors.")
    return " ".join(said)


def numbers(found: Findings) -> dict[str, Any]:
    """Everything that the table and the page state, as one JSON object."""
    header, records = found.header, found.records
    judged = list(judgements(records))
    return {
        "bundle_sha256": header.bundle_sha256,
        "model": header.model,
        "ranking": header.ranking,
        "shuffles": header.shuffles,
        "users": len(records),
        "settings": header.settings.model_dump(),
        "seeds": found.evaluation.seeds,
        "reference": found.evaluation.reference,
        "methods": [asdict(row) for row in found.rows],
        "agreement": [asdict(row) for row in found.correlations],
        "demonstration_sets": [asdict(point) for point in found.sets],
        "rounds": {name: [asdict(row) for row in rows] for name, rows in found.rounds.items()},
        "optimization": {
            "calls": sum(r.usage.calls for r in records),
            "prompt_tokens": sum(r.usage.prompt_tokens for r in records),
            "completion_tokens": sum(r.usage.completion_tokens for r in records),
            "seconds_a_user": sum(r.seconds for r in records) / len(records),
            "audit": asdict(rates([t.audit for t in trials_of(records) if t.audit])),
            "rejected_demonstrations": rejected(records),
            "rejections": rejections(trials_of(records)),
            "collapses": sum(j.collapsed for j in judged),
            "perturbations": sum(j.source is not None for j in judged),
        },
    }
