"""A finished and scored run over a bundle, made with a server on loopback, for tests of faces."""

from pathlib import Path

from lrgd import run_jobs, runs
from lrgd.evals.runs.evaluation import Evaluation
from lrgd.evals.runs.folder import PriorName, RunFolder
from lrgd.graphs import LoopSettings
from lrgd.jobs import open_answers
from lrgd.progress import Display
from lrgd.workbench import ModelChoice, open_workbench, settled
from tests.scripted import hashed_words


async def made_run(
    bundle: Path, folder: Path, url: str, users: int, prior: PriorName | None = None
) -> RunFolder:
    """Two paths, two rounds; LRGD and zero-shot are scored."""
    choice = await settled(ModelChoice(url, "m", ranking="decision"))
    settings = LoopSettings(paths=2, rounds=2)
    run = runs.begin(runs.plan(bundle, folder, choice, settings, users, prior), resume=False)
    memory, cache = run.folder.memory, open_answers(run.folder)
    async with open_workbench(memory, run.choice, cache=cache, embed=hashed_words) as bench:
        with Display() as display:
            await run_jobs.optimize(run, bench, display)
            wanted = Evaluation(methods=("zero-shot", "LRGD"))
            await run_jobs.score(run, wanted, bench, display)
    return run.folder
