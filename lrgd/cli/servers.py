"""`lrgd serve` and `lrgd doctor`: start a model server, and ask one what it can do."""

import asyncio
import json
import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from lrgd.core.errors import InputError
from lrgd.evals.data.bundle import load_bundle
from lrgd.model_progress import fetching
from lrgd.option_groups import grouped, server_choice
from lrgd.options import Json
from lrgd.serving.launch import LOOPBACK, Engine, embedded_command, vllm_command
from lrgd.serving.models import DEFAULT, folder_of, name_of
from lrgd.serving.server import ENVIRONMENT
from lrgd.show import printer
from lrgd.table_view import TableView, key_values
from lrgd.trials import Trial, trials_table, tried
from lrgd.workbench import ModelChoice, Survey, serving, survey_of

TRIED_USERS = 50


@grouped(choice=server_choice)
def doctor(
    choice: ModelChoice,
    bundle: Annotated[
        Path | None,
        typer.Option(
            help="Try each mode on this bundle's validation tasks, and say which to take."
        ),
    ] = None,
    users: Annotated[int, typer.Option(min=2, help="Validation tasks to try.")] = TRIED_USERS,
    json_: Json = False,
) -> None:
    """Ask a model server what it can do, and which ranking mode it will be used with.

    Costs a dozen short requests, and with --bundle a ranking of each task in each mode.
    """
    tasks = []
    if bundle is not None:
        loaded = load_bundle(bundle)
        tasks = [loaded.task(user, "validation") for user in list(loaded.users)[:users]]

    async def examined() -> tuple[Survey, list[Trial]]:
        async with serving(choice) as settings:
            survey = await survey_of(settings)
            return survey, await tried(settings, survey, tasks) if tasks else []

    survey, trials = asyncio.run(examined())
    if json_:
        told = {**asdict(survey), "trials": [asdict(trial) for trial in trials]}
        print(json.dumps(told, indent=2))
        return
    _tell(survey, trials)


def _tell(survey: Survey, trials: Sequence[Trial]) -> None:
    printer().print(survey_table(survey))
    if not trials:
        print(f"--ranking {survey.mode} is what auto takes: {survey.reason}.")
        return
    printer().print(TableView(trials_table(trials)))
    best = max(trials, key=lambda trial: trial.ndcg_10.mean)
    print(f"Take --ranking {best.mode}: {best.ndcg_10.mean:.3f} nDCG@10 on {best.tasks} tasks.")


def survey_table(survey: Survey) -> Table:
    """What a server can do, one line an ability."""
    can = survey.abilities
    rows = {
        "typed questions, /v1/systemone": f"up to {can.systemone} options" if can.systemone else "",
        "typed questions, /v1/decisions": f"up to {can.decisions} options" if can.decisions else "",
        "alternatives of a token": f"{can.top_logprobs}" if can.top_logprobs else "",
        "letters told apart": f"{can.letters}" if can.letters else "",
        "probability of the letters": f"{can.letter_share:.1%}" if can.top_logprobs else "",
        "log-probabilities of a prompt": "yes" if can.echo else "",
        "end of an answer": repr(can.frame.after) if can.frame else "",
        "documents scored, /v1/rerank": "yes" if can.rerank else "",
        "answers held to a JSON schema": "yes" if can.json_schema else "",
    }
    rows["thinking before the answer"] = can.thinking if can.thinking != "none" else ""
    rows["asked otherwise than OpenAI"] = can.dialect.differences
    return key_values({ability: value or "no" for ability, value in rows.items()})


def serve(
    context: typer.Context,
    engine: Annotated[Engine, typer.Option(help="Which server.")] = "embedded",
    model: Annotated[
        str, typer.Option(help="A name of `lrgd models`, a folder, or a name on the model hub.")
    ] = DEFAULT,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = LOOPBACK,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8000,
    tensor_parallel: Annotated[
        int, typer.Option(min=1, help="GPUs that share one copy of the model (vllm).")
    ] = 1,
    python: Annotated[
        Path | None, typer.Option(help="Interpreter of the environment that holds vllm.")
    ] = None,
) -> None:
    """Start a model server with the flags that lrgd needs; further flags go to the server.

    The embedded one by default: `lrgd serve --engine vllm --model M -- --dtype float32`.
    """
    environment = dict(os.environ)
    if engine == "vllm":
        command = vllm_command(
            model,
            python=str(python or sys.executable),
            host=host,
            port=port,
            tensor_parallel=tensor_parallel,
            extra=context.args,
        )
        name = model
    else:
        name = name_of(model)
        command = [
            *embedded_command(folder_of(model, report=fetching), name, host, port),
            *context.args,
        ]
        environment = {**ENVIRONMENT, **environment}
    if shutil.which(command[0]) is None:
        raise InputError(f"cannot run {command[0]}: no such program")
    print(shlex.join(command), file=sys.stderr)
    print(f"then: lrgd doctor --base-url http://{host}:{port}/v1 --model {name}", file=sys.stderr)
    sys.stderr.flush()
    os.execve(command[0], command, environment)
