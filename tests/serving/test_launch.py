import json
import sys
from pathlib import Path

import pytest

from memory.errors import EndpointError
from serving.launch import transformers_command, vllm_command
from serving.pocket import MODEL_DIR


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


def test_transformers_gets_the_decision_config_of_a_folder_that_has_one(tmp_path: Path) -> None:
    command = transformers_command(MODEL_DIR, "127.0.0.1", 9)
    assert command[0] == sys.executable
    assert command[-2:] == ["--decision-config", str(MODEL_DIR / "decision.json")]
    (tmp_path / "config.json").write_text("{}")
    assert "--decision-config" not in transformers_command(tmp_path, "127.0.0.1", 9)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EndpointError, match="no model in"):
        transformers_command(tmp_path, "127.0.0.1", 9)
