"""The command line as a person meets it: in a process of its own, with real exit codes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from evals.bundle import Bundle
from tests.loopback import Answer, LoopbackModel, sensible

LRGD = [sys.executable, "-c", "from lrgd.cli import main; main()"]


def lrgd(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*LRGD, *map(str, arguments)], capture_output=True, text=True, timeout=120
    )


def assert_refused(found: subprocess.CompletedProcess[str], *words: str) -> None:
    """Exit code 2 and one line on standard error, with these words in it."""
    assert found.returncode == 2, found.stderr
    assert found.stderr.count("\n") == 1, found.stderr
    for word in words:
        assert word in found.stderr


@pytest.fixture(scope="module")
def saved(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "bundle"
    bundle.save(folder)
    return folder


def endpoint(server: LoopbackModel) -> list[str]:
    return ["--base-url", server.url, "--model", "m", "--ranking", "decision"]


def test_sample_and_show(tmp_path: Path) -> None:
    made = lrgd("data", "sample", "--out", tmp_path / "b", "--users", 5)
    assert made.returncode == 0, made.stderr
    shown = lrgd("data", "show", tmp_path / "b")
    assert "sha256 (checked)" in shown.stdout
    user = json.loads((tmp_path / "b" / "users.jsonl").read_text().splitlines()[0])["user_id"]
    task = lrgd("data", "show", tmp_path / "b", "--user", user).stdout
    assert "Bought so far, oldest first" in task
    assert task.count("=>") == 2


def test_prepare_reads_llmrank_files(tmp_path: Path) -> None:
    titles = "".join(f"{i}\ttitle {i}\n" for i in range(9))
    (tmp_path / "Games.item").write_text(f"item_id:token\ttitle:token_seq\n{titles}")
    users = "user_id:token\titem_id_list:token_seq\titem_id:token\nu\t0 1\t2\nv\t3 4\t5\n"
    (tmp_path / "Games.test.inter").write_text(users)
    options = ["--path", tmp_path, "--users", 2, "--candidates", 4, "--out", tmp_path / "b"]
    assert lrgd("data", "prepare", "--source", "llmrank", *options).returncode == 0
    assert lrgd("data", "show", tmp_path / "b", "--user", "u").returncode == 0


def test_bad_input_is_one_line_and_exit_code_2(saved: Path, tmp_path: Path) -> None:
    run = ["--run", tmp_path / "run"]
    nowhere = ["--base-url", "http://127.0.0.1:9/v1", "--model", "m"]
    assert_refused(lrgd("data", "show", tmp_path), "no bundle at", "lrgd data")
    assert_refused(lrgd("data", "show", saved, "--user", "x"), "no user 'x'")
    assert_refused(
        lrgd("data", "prepare", "--path", tmp_path, "--out", tmp_path / "b"), "Games.item"
    )
    assert_refused(lrgd("optimize", saved, *run, "--base-url", "http://x/v1"), "belong together")
    assert_refused(
        lrgd("optimize", saved, *run, *nowhere), "no answer from m at http://127.0.0.1:9"
    )
    assert_refused(lrgd("optimize", saved, *run), "add --resume")
    assert_refused(lrgd("evaluate", "--run", tmp_path / "no"), "no run at")
    assert_refused(lrgd("evaluate", *run), "was made with m")
    assert_refused(lrgd("evaluate", *run, *nowhere), "0 of 12 users")


def test_a_changed_bundle_is_refused(saved: Path, tmp_path: Path) -> None:
    changed = tmp_path / "changed"
    changed.mkdir()
    for file in saved.iterdir():
        (changed / file.name).write_bytes(file.read_bytes())
    with (changed / "items.jsonl").open("a") as file:
        file.write("{}\n")
    assert_refused(lrgd("optimize", changed, "--run", tmp_path / "r"), "was changed")


def test_a_wrong_model_name_is_the_servers_word(saved: Path, tmp_path: Path) -> None:
    with LoopbackModel(lambda p, b: (404, {"error": {"message": "no model m"}}, {})) as server:
        found = lrgd("optimize", saved, "--run", tmp_path / "r", *endpoint(server))
    assert_refused(found, "no model m")


def test_a_run_from_optimize_to_recommend(saved: Path, tmp_path: Path) -> None:
    run = ["--run", tmp_path / "run"]
    with LoopbackModel() as server:
        options = [*run, *endpoint(server)]
        optimize = ["optimize", saved, *options, "--users", 3, "--rounds", 2]
        made = lrgd(*optimize)
        assert made.returncode == 0, made.stderr
        assert "3 users" in made.stdout
        calls = len(server.requests)
        assert (
            lrgd("optimize", saved, *options, "--users", 3, "--rounds", 2, "--resume").returncode
            == 0
        )
        assert len(server.requests) == calls
        found = lrgd("evaluate", *options, "--json")
        assert found.returncode == 0, found.stderr
        table = lrgd("evaluate", *options)
        recommended = lrgd("recommend", saved, "--user", "shopper-001", *options)
    numbers = json.loads(found.stdout)
    assert [m["method"] for m in numbers["methods"]][-1] == "LRGD"
    assert numbers["methods"][0]["n"] == 3
    assert "minus zero-shot" in table.stdout
    assert (tmp_path / "run" / "report" / "report.html").is_file()
    assert_refused(lrgd("recommend", saved, "--user", "x", *options), "no user 'x'")
    users = json.loads((tmp_path / "run" / "run.json").read_text())["users"]
    assert ("shopper-001" in users) == ("demonstration of: own" in recommended.stdout)


def test_another_package_named_agents_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "__init__.py").touch()
    found = subprocess.run(
        [*LRGD, "--help"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert_refused(found, "openai-agents")


def results(run: Path) -> list[dict[str, Any]]:
    lines = (run / "journal.jsonl").read_text().splitlines()
    return sorted((json.loads(line) for line in lines), key=lambda r: r["user_id"])


def test_ctrl_c_leaves_a_run_that_resume_finishes_with_the_same_result(
    saved: Path, tmp_path: Path
) -> None:
    def slowly(path: str, body: dict[str, Any]) -> Answer:
        time.sleep(0.02)
        return sensible(path, body)

    def optimize(server: LoopbackModel, run: Path) -> list[str]:
        options = ["--users", 6, "--rounds", 3, "--paths", 2, "--run", run]
        return [*LRGD, "optimize", str(saved), *map(str, options), *endpoint(server)]

    with LoopbackModel(slowly) as server:
        subprocess.run(optimize(server, tmp_path / "whole"), check=True, timeout=120)
        server.requests.clear()
        process = subprocess.Popen(
            optimize(server, tmp_path / "stopped"), stderr=subprocess.PIPE, text=True
        )
        while len(server.requests) < 30:
            time.sleep(0.01)
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 130, said
        assert "--resume" in said.splitlines()[-1]
        assert "Traceback" not in said
        resume = [*optimize(server, tmp_path / "stopped"), "--resume"]
        subprocess.run(resume, check=True, timeout=120)
    assert results(tmp_path / "stopped") == results(tmp_path / "whole")
