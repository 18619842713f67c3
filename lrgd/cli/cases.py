"""`lrgd cases run`: makes the rankings of regression cases again, and compares."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.table import Table

from lrgd.debug.regression import RegressionCase, read_case, replay
from lrgd.option_groups import grouped, model_choice
from lrgd.options import Json
from lrgd.show import printer
from lrgd.terminal.text import said
from lrgd.workbench import ModelChoice, open_workbench

REGRESSION = 1
"""Exit code where a case ranks its item lower than it may."""

cases = typer.Typer(help="Regression cases, written by /case in `lrgd chat`.", no_args_is_help=True)


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One case, asked again."""

    file: str
    user: str
    rank: int
    """Of the true next item."""
    rank_at_most: int
    candidates: int

    @property
    def passed(self) -> bool:
        return self.rank <= self.rank_at_most


@cases.callback()
def about() -> None:
    """Keeps `run` a command of its own: Typer would fold a single command into the group."""


@cases.command()
@grouped(choice=model_choice)
def run(
    files: Annotated[list[Path], typer.Argument(help="Case files.")],
    json_: Json = False,
    *,
    choice: ModelChoice,
) -> None:
    """Rank every case's candidates again; exit code 1 where one came out worse than it may."""
    loaded = [read_case(file) for file in files]
    results = asyncio.run(_replayed(files, loaded, choice))
    if json_:
        print(json.dumps([{**asdict(r), "passed": r.passed} for r in results], indent=2))
    else:
        printer().print(_table(results))
    if not all(result.passed for result in results):
        raise typer.Exit(REGRESSION)


async def _replayed(
    files: Sequence[Path], loaded: Sequence[RegressionCase], choice: ModelChoice
) -> list[CaseResult]:
    with TemporaryDirectory() as folder:
        async with open_workbench(Path(folder), choice) as bench:
            rankings = await asyncio.gather(*(replay(case, bench.ranker) for case in loaded))
    return [
        CaseResult(
            file=str(file),
            user=case.task.user_id,
            rank=ranking.rank_of(str(case.task.target_id)),
            rank_at_most=case.rank_at_most,
            candidates=len(case.task.candidates),
        )
        for file, case, ranking in zip(files, loaded, rankings, strict=True)
    ]


def _table(results: Sequence[CaseResult]) -> Table:
    table = Table()
    for name in ("case", "user", "rank", "at most", "of", ""):
        table.add_column(name, justify="right" if name in ("rank", "at most", "of") else "left")
    for r in results:
        verdict = said("passed", "green") if r.passed else said("WORSE", "bold red")
        numbers = (str(r.rank), str(r.rank_at_most), str(r.candidates))
        table.add_row(said(r.file), said(r.user), *numbers, verdict)
    return table
