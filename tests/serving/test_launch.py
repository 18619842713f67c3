import json
import sys
from pathlib import Path

from lrgd.serving.launch import embedded_command, vllm_command


def test_vllm_gets_prefix_caching_logprobs_and_the_flags_that_were_asked_for() -> None:
    command = vllm_command(
        "org/model", python="py", port=9, tensor_parallel=4, extra=["--dtype", "float32"]
    )
    assert command[:4] == ["py", "-m", "vllm.entrypoints.openai.api_server", "--model"]
    text = " ".join(command)
    for flags in ("--host 127.0.0.1 --port 9", "--enable-prefix-caching", "--max-logprobs 64"):
        assert flags in text
    assert text.endswith("--tensor-parallel-size 4 --dtype float32")
    config = command[command.index("--structured-outputs-config") + 1]
    assert json.loads(config)["disable_any_whitespace"] is True
    assert "--tensor-parallel-size" not in vllm_command("org/model")


def test_the_embedded_server_is_this_environments_own() -> None:
    command = embedded_command(Path("some/model"), "m", "127.0.0.1", 9)
    assert command[:3] == [sys.executable, "-m", "lrgd.serving.embedded"]
    assert " ".join(command[3:]) == "some/model --name m --host 127.0.0.1 --port 9"
