"""Command lines of the model servers, with the flags that this project's requests need."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

Engine = Literal["embedded", "vllm"]

LOOPBACK = "127.0.0.1"
MAX_LOGPROBS = 64
"""Alternatives for one token: more than there are letters for options."""

GRAMMAR = {"backend": "xgrammar", "disable_any_whitespace": True}
"""How answers are held to a schema: without the blanks in which small models get lost."""


def embedded_command(folder: Path, name: str, host: str, port: int) -> list[str]:
    """The command that serves a local folder in this environment, see `lrgd.serving.embedded`."""
    options = [str(folder), "--name", name, "--host", host, "--port", str(port)]
    return [sys.executable, "-m", "lrgd.serving.embedded", *options]


def vllm_command(
    model: str,
    *,
    python: str = sys.executable,
    host: str = LOOPBACK,
    port: int = 8000,
    tensor_parallel: int = 1,
    extra: Sequence[str] = (),
) -> list[str]:
    """The command that serves a model with vLLM.

    Args:
        model: a folder, or a name on the model hub.
        python: the interpreter of the environment that holds vLLM; it needs one of its own,
            since it pins another transformers.
        tensor_parallel: GPUs that share the model.
        extra: further flags of vLLM, as they stand.
    """
    # `python -m` rather than `vllm serve`: it also works for the builds without a GPU.
    command = [python, "-m", "vllm.entrypoints.openai.api_server", "--model", model]
    command += ["--host", host, "--port", str(port)]
    command += ["--enable-prefix-caching", "--max-logprobs", str(MAX_LOGPROBS)]
    command += ["--structured-outputs-config", json.dumps(GRAMMAR)]
    if tensor_parallel > 1:
        command += ["--tensor-parallel-size", str(tensor_parallel)]
    return [*command, *extra]
