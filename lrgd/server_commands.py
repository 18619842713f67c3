"""`lrgd serve` and `lrgd doctor`: start a model server, and ask one what it can do."""

import asyncio
import json
import os
import shlex
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from agents.endpoint import NO_KEY
from lrgd.options import BaseUrl, Json, Key, Model
from lrgd.show import printer, survey_table
from lrgd.workbench import ModelChoice, Survey, serving, survey_of
from memory.errors import InputError
from serving.launch import LOOPBACK, Engine, transformers_command, vllm_command
from serving.pocket import MODEL_DIR
from serving.server import ENVIRONMENT


def doctor(
    base_url: BaseUrl = None, model: Model = None, api_key: Key = NO_KEY, json_: Json = False
) -> None:
    """Ask a model server what it can do, and which ranking mode it will be used with.

    Costs a dozen short requests. Without --base-url the pocket model is started and asked.
    """
    choice = ModelChoice(base_url, model, api_key)

    async def examined() -> Survey:
        async with serving(choice) as settings:
            return await survey_of(settings)

    survey = asyncio.run(examined())
    if json_:
        print(json.dumps(asdict(survey), indent=2))
        return
    printer().print(survey_table(survey))
    print(f"--ranking {survey.mode} is what auto takes: {survey.reason}.")


def serve(
    context: typer.Context,
    engine: Annotated[Engine, typer.Option(help="Which server.")] = "transformers",
    model: Annotated[
        str, typer.Option(help="Folder of a model; with vllm also a name on the model hub.")
    ] = str(MODEL_DIR),
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

    The pocket model by default: `lrgd serve --engine vllm --model M -- --dtype float32`.
    """
    if engine == "vllm":
        command = vllm_command(
            model,
            python=str(python or sys.executable),
            host=host,
            port=port,
            tensor_parallel=tensor_parallel,
            extra=context.args,
        )
        environment = dict(os.environ)
    else:
        command = [*transformers_command(Path(model), host, port), *context.args]
        environment = {**os.environ, **ENVIRONMENT}
    if shutil.which(command[0]) is None:
        raise InputError(f"cannot run {command[0]}: no such program")
    print(shlex.join(command), file=sys.stderr)
    print(f"then: lrgd doctor --base-url http://{host}:{port}/v1 --model {model}", file=sys.stderr)
    sys.stderr.flush()
    os.execve(command[0], command, environment)
