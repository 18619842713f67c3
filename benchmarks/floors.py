"""The floors on a bundle's test tasks: means, 95 % intervals, weights and seconds. No model.

    python -m benchmarks.floors BUNDLE [--users 1000] [--embed] [--json]

Fits `fused` on the validation tasks of the same users, then ranks every test task. `--embed` adds
the floors that need MiniLM, which takes minutes.
"""

import argparse
import asyncio
import json
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from lrgd.core.table import Table
from lrgd.evals.data.bundle import Bundle, load_bundle
from lrgd.evals.methods import FLOORS, METHODS, Question, Resources
from lrgd.evals.methods.evidence import Fused, FusedFit, evidence_of
from lrgd.evals.metrics import METRICS
from lrgd.evals.runs.fusing import fit_fused
from lrgd.evals.statistics import interval_text, mean_interval
from lrgd.graphs import LoopSettings
from lrgd.memory import load_minilm

EMBEDDING = {"last item", "MiniLM cosine"}
SHOWN = ("nDCG@10", "Recall@10")


def main() -> None:
    """Fit, rank, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path, help="folder of a bundle with a training part")
    parser.add_argument("--users", type=int, default=1000, help="the first so many")
    parser.add_argument("--embed", action="store_true", help="MiniLM's floors as well")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parser.parse_args()
    bundle = load_bundle(asked.bundle)
    if bundle.training is None:
        raise SystemExit(f"{asked.bundle} has no training part: make it anew")
    begin = perf_counter()
    users = list(bundle.users)[: asked.users]
    evidence = evidence_of(bundle.training)
    fitted = fit_fused(bundle, users, evidence)
    seconds = {"training part and fit": perf_counter() - begin}
    resources = Resources(
        ranker=None,  # type: ignore[arg-type]  # floors ask no model
        embed=load_minilm() if asked.embed else None,  # type: ignore[arg-type]
        settings=LoopSettings(),
        popularity=bundle.popularity,
        evidence=evidence,
        fused=Fused(evidence, fitted.weights),
    )
    ranks = {}
    for name in FLOORS:
        if asked.embed or name not in EMBEDDING:
            begin = perf_counter()
            ranks[name] = asyncio.run(_ranks(name, bundle, users, resources))
            seconds[name] = perf_counter() - begin
    if asked.json:
        print(json.dumps(_as_dict(bundle, fitted, ranks, seconds), indent=2))
    else:
        print(f"{bundle.name}, {len(users)} users, bundle {bundle.sha256}\n")
        print(_table(ranks).markdown())
        print(f"\nfused, on {fitted.tasks} validation tasks: {_weights(fitted)}")
        print(f"{sum(seconds.values()):.1f} s: {_seconds(seconds)}")


async def _ranks(name: str, bundle: Bundle, users: list[str], resources: Resources) -> list[int]:
    found = []
    for user in users:
        task = bundle.task(user, "test")
        record: Any = None  # floors read none
        ranking = await METHODS[name].rank(resources, Question.of(task), record)
        found.append(ranking.rank_of(str(task.target_id)))
    return found


def _table(ranks: dict[str, list[int]]) -> Table:
    rows = tuple(
        (name, *(interval_text(mean_interval(METRICS[m](np.array(r))), ".4f") for m in SHOWN))
        for name, r in ranks.items()
    )
    return Table("floors", "Floors", ("floor", *(f"{m} [95 %]" for m in SHOWN)), rows)


def _weights(fitted: FusedFit) -> str:
    return ", ".join(
        f"{source} {weight:.2f} (standard error {fitted.standard_errors[source]:.2f})"
        for source, weight in fitted.weights.items()
    )


def _seconds(seconds: dict[str, float]) -> str:
    return ", ".join(f"{name} {s:.1f}" for name, s in seconds.items())


def _as_dict(
    bundle: Bundle, fitted: FusedFit, ranks: dict[str, list[int]], seconds: dict[str, float]
) -> dict[str, Any]:
    means = {
        name: {m: float(METRICS[m](np.array(r)).mean()) for m in METRICS}
        for name, r in ranks.items()
    }
    return {
        "bundle_sha256": bundle.sha256,
        "users": len(next(iter(ranks.values()))),
        "means": means,
        "fused": fitted.model_dump(),
        "seconds": seconds,
    }


if __name__ == "__main__":
    main()
