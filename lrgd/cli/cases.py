"""`lrgd cases run`: asks a model for rankings that were once as they should be."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.table import Table

from lrgd.agents.endpoint.client import NO_KEY
from lrgd.core.errors import InputError
from lrgd.debug.cases import RegressionCase, replay
from lrgd.options import BaseUrl, Json, Key, Model, Ranking
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
    """Without it `run` would be no command of its own: Typer folds a single one away."""


@cases.command()
def run(
    files: Annotated[list[Path], typer.Argument(help="Case files.")],
    base_url: BaseUrl = None,
    model: Model = None,
    api_key: Key = NO_KEY,
    ranking: Ranking = None,
    json_: Json = False,
) -> None:
    """Rank every case's candidates again; exit code 1 where one came out worse than it may."""
    loaded = [read_case(file) for file in files]
    choice = ModelChoice(base_url, model, api_key, ranking)
    found = asyncio.run(_replayed(files, loaded, choice))
    if json_:
        print(json.dumps([{**asdict(r), "passed": r.passed} for r in found], indent=2))
    else:
        printer().print(_table(found))
    if not all(result.passed for result in found):
        raise typer.Exit(REGRESSION)


def read_case(file: Path) -> RegressionCase:
    """A case file.

    Raises:
        InputError: it is not there, or is no case; names the field.
    """
    try:
        case = RegressionCase.model_validate_json(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {file}: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "file"
        raise InputError(f"{file}: {field}: {first['msg']}") from error
    if case.task.target_id is None:
        raise InputError(f"{file}: task.target_id: a case needs a known next item")
    if case.rank_at_most >= len(case.task.candidates):
        most = f"rank_at_most: {case.rank_at_most} of {len(case.task.candidates)}"
        raise InputError(f"{file}: {most} can never fail")
    return case


async def _replayed(
    files: Sequence[Path], loaded: Sequence[RegressionCase], choice: ModelChoice
) -> list[CaseResult]:
    with TemporaryDirectory() as folder:
        async with open_workbench(Path(folder), choice) as bench:
            answers = await asyncio.gather(*(replay(case, bench.ranker) for case in loaded))
    return [
        CaseResult(
            file=str(file),
            user=case.task.user_id,
            rank=ranking.rank_of(str(case.task.target_id)),
            rank_at_most=case.rank_at_most,
            candidates=len(case.task.candidates),
        )
        for file, case, (ranking, _) in zip(files, loaded, answers, strict=True)
    ]


def _table(found: Sequence[CaseResult]) -> Table:
    table = Table()
    for name in ("case", "user", "rank", "at most", "of", ""):
        table.add_column(name, justify="right" if name in ("rank", "at most", "of") else "left")
    for r in found:
        verdict = said("passed", "green") if r.passed else said("WORSE", "bold red")
        numbers = (str(r.rank), str(r.rank_at_most), str(r.candidates))
        table.add_row(said(r.file), said(r.user), *numbers, verdict)
    return table
