"""The command line as a person meets it: in a process of its own, with real exit codes."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from lrgd.evals.data.bundle import Bundle
from tests.loopback import Answer, LoopbackModel, Sensible, sensible

LRGD = [sys.executable, "-c", "from lrgd.cli.main import main; main()"]


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
    return ["--base-url", server.url, "--model", "m"]


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
    alone = ["--base-url", "http://127.0.0.1:9/v1"]
    assert_refused(lrgd("optimize", saved, *run, *alone), "no answer from http://127.0.0.1:9")
    assert_refused(lrgd("optimize", saved, *run, "--model", "/nope"), "no model '/nope'")
    no_answer = "no answer from m at http://127.0.0.1:9"
    assert_refused(lrgd("optimize", saved, *run, *nowhere), no_answer)
    assert_refused(lrgd("doctor", *nowhere), no_answer)
    assert_refused(lrgd("optimize", saved, *run, *nowhere, "--ranking", "decision"), no_answer)
    assert_refused(lrgd("optimize", saved, *run), "add --resume")
    assert_refused(lrgd("evaluate", "--run", tmp_path / "no"), "no run at")
    assert_refused(lrgd("evaluate", *run), "was made with m")
    assert_refused(lrgd("evaluate", *run, *nowhere), "0 of 12 users")
    assert_refused(lrgd("web", saved, "--host", "0.0.0.0"), "--token")
    assert_refused(lrgd("web", saved, "--user", "x"), "no user 'x'")
    assert_refused(lrgd("serve", "--engine", "vllm", "--python", "/no/python"), "/no/python")
    assert_refused(lrgd("serve", "--model", tmp_path), "has no config.json")


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
        optimize += ["--ranking", "decision"]
        made = lrgd(*optimize)
        assert made.returncode == 0, made.stderr
        assert "3 users" in made.stdout
        calls = len(server.requests)
        assert lrgd(*optimize, "--resume").returncode == 0
        assert len(server.requests) == calls
        found = lrgd("evaluate", *options, "--json")
        assert found.returncode == 0, found.stderr
        table = lrgd("evaluate", *options)
        ablated = lrgd("evaluate", *options, "--methods", "m = 1", "--reference", "LRGD")
        assert_refused(lrgd("evaluate", *options, "--methods", "m = 9"), "no method 'm = 9'")
        recommended = lrgd("recommend", saved, "--user", "shopper-001", *options)
    numbers = json.loads(found.stdout)
    assert [m["method"] for m in numbers["methods"]][-1] == "LRGD"
    assert numbers["methods"][0]["n"] == 3
    assert "minus zero-shot" in table.stdout
    assert "LRGD, m = 1" in ablated.stdout
    assert "nDCG@10 - LRGD" in ablated.stdout
    assert (tmp_path / "run" / "report" / "report.html").is_file()
    assert_refused(lrgd("recommend", saved, "--user", "x", *options), "no user 'x'")
    users = json.loads((tmp_path / "run" / "run.json").read_text())["users"]
    assert ("shopper-001" in users) == ("demonstration of: own" in recommended.stdout)


def test_a_suite_goes_on_where_it_was_and_its_run_is_compared(tmp_path: Path) -> None:
    suite = tmp_path / "s.yaml"
    data = "{source: sample, users: 5, candidates: 8}"
    methods = "methods: m = 1, no perturbation\nseeds: 2\n"
    suite.write_text(
        f"name: s\nabout: s\ndata: {data}\nusers: 3\nsettings: {{paths: 2, rounds: 2}}\n{methods}"
    )
    with LoopbackModel() as server:
        command = ["suite", "run", suite, "--out", tmp_path, *endpoint(server)]
        made = lrgd(*command, "--ranking", "decision")
        assert made.returncode == 0, made.stderr
        asked = len(server.requests)
        assert lrgd(*command, "--ranking", "decision").stdout == made.stdout
        assert len(server.requests) == asked
    run = tmp_path / "run"
    rows = (run / "report" / "quality.md").read_text()
    assert "LRGD, m = 1" in rows
    assert "sd of seeds" in rows
    variants = {f.name for f in (run / "variants").iterdir()}
    later = {"seed=2025", "paths=1,seed=2025", "perturbation=False,seed=2025"}
    assert variants == {"paths=1", "perturbation=False", *later}
    shown = lrgd("report", "compare", run, run)
    assert "+0.0000 [+0.0000, +0.0000]" in shown.stdout, shown.stderr
    assert_refused(lrgd("report", "compare", run, tmp_path), "no run at")


def test_a_suite_with_a_mistake_is_named(tmp_path: Path) -> None:
    suite, out = tmp_path / "s.yaml", ["--out", tmp_path / "o"]
    assert_refused(lrgd("suite", "run", suite, *out), "cannot read the suite")
    good = "name: s\nabout: s\ndata: {source: llmrank}\n"
    suite.write_text(good)
    assert_refused(lrgd("suite", "run", suite, *out), "--data DIR")
    for more, word in (
        ("settings: {path: 3}", "path"),
        ("methods: foo", "no method 'foo'"),
        ("seed: 3", "seed"),
        ("users: [", "cannot read"),
    ):
        suite.write_text(good + more)
        assert_refused(lrgd("suite", "run", suite, *out), word)


def results(run: Path) -> list[dict[str, Any]]:
    """The records by user, apart from how long each took."""
    lines = (run / "journal.jsonl").read_text().splitlines()
    rows = sorted((json.loads(line) for line in lines), key=lambda r: r["user_id"])
    assert all(row.pop("seconds") > 0 for row in rows)
    return rows


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


def test_doctor_says_what_a_server_can_do_and_what_auto_takes() -> None:
    with LoopbackModel(Sensible(options=26, top=64, uncased=False)) as server:
        told = lrgd("doctor", *endpoint(server))
        as_json = json.loads(lrgd("doctor", *endpoint(server), "--json").stdout)
    assert "up to 26 options" in told.stdout
    assert "--ranking logprobs is what auto takes" in told.stdout
    assert (as_json["mode"], as_json["abilities"]["letters"]) == ("logprobs", 52)


def test_doctor_tries_the_modes_on_a_bundles_validation_tasks(saved: Path) -> None:
    with LoopbackModel(Sensible(options=26, top=64, uncased=False)) as server:
        told = lrgd("doctor", *endpoint(server), "--bundle", saved, "--users", 4)
        found = lrgd("doctor", *endpoint(server), "--bundle", saved, "--users", 4, "--json")
    assert told.returncode == 0, told.stderr
    trials = {trial["mode"]: trial for trial in json.loads(found.stdout)["trials"]}
    assert {"decision", "logprobs", "listwise"} <= trials.keys()
    best = max(trials, key=lambda mode: trials[mode]["ndcg_10"]["mean"])
    assert f"Take --ranking {best}:" in told.stdout
    assert all(trial["tasks"] == 4 and trial["tokens"] > 0 for trial in trials.values())


def test_a_servers_only_model_need_not_be_named(saved: Path, tmp_path: Path) -> None:
    with LoopbackModel() as server:
        alone = ["--run", tmp_path / "run", "--base-url", server.url]
        made = lrgd("optimize", saved, *alone, "--users", 2, "--rounds", 1)
        assert made.returncode == 0, made.stderr
        scored = lrgd("evaluate", *alone, "--json")
    assert json.loads(scored.stdout)["model"] == "m"


def test_a_scored_run_is_published_as_two_files(saved: Path, tmp_path: Path) -> None:
    with LoopbackModel() as server:
        options = ["--run", tmp_path / "run", *endpoint(server)]
        lrgd("optimize", saved, *options, "--users", 3, "--rounds", 1)
        about = ["--command", "lrgd optimize BUNDLE", "--commit", "abc", "--out", tmp_path / "r/n"]
        publish = ["report", "publish", tmp_path / "run", *endpoint(server), *about]
        assert_refused(lrgd(*publish), "is not scored")
        lrgd("evaluate", *options)
        found = lrgd(*publish)
    assert found.returncode == 0, found.stderr
    numbers = json.loads((tmp_path / "r/n.json").read_text())
    assert (numbers["command"], numbers["commit"]) == ("lrgd optimize BUNDLE", "abc")
    assert len(numbers["bundle_sha256"]) == 64
    text = (tmp_path / "r/n.md").read_text()
    assert "| LRGD" in text
    assert "LRGD minus zero-shot" in text
    assert str(tmp_path) not in text + json.dumps(numbers)


@pytest.mark.parametrize(
    ("server_can", "mode"),
    [
        (Sensible(options=0, top=9), "logprobs"),
        (Sensible(options=0, schema=True), "listwise"),
        (Sensible(options=0), "listwise"),
    ],
)
def test_auto_takes_what_the_server_can_do_and_evaluate_keeps_to_it(
    saved: Path, tmp_path: Path, server_can: Sensible, mode: str
) -> None:
    with LoopbackModel(server_can) as server:
        options = ["--run", tmp_path / "run", *endpoint(server)]
        made = lrgd("optimize", saved, *options, "--users", 2, "--rounds", 1, "--shuffles", 3)
        assert made.returncode == 0, made.stderr
        found = lrgd("evaluate", *options, "--json")
        table = lrgd("evaluate", *options).stdout
    numbers = json.loads(found.stdout)
    assert (numbers["ranking"], numbers["shuffles"]) == (mode, 3)
    audit = next(m["audit"] for m in numbers["methods"] if m["method"] == "LRGD")
    assert audit["position_sd"] > 0
    assert "position sd" in table
    if mode == "listwise" and not server_can.schema:
        # It writes sentences, no titles: everything is missing, and nothing crashes.
        assert (audit["missing"], audit["strict_ndcg_at_10"]) == (1.0, 0.0)


def test_a_spent_budget_keeps_what_is_done_and_resume_pays_only_the_rest(
    saved: Path, tmp_path: Path
) -> None:
    with LoopbackModel() as server:
        options = [saved, "--users", 4, "--rounds", 2, *endpoint(server), "--ranking", "decision"]
        whole = lrgd("optimize", *options, "--run", tmp_path / "whole")
        assert whole.returncode == 0, whole.stderr
        calls = int(re.findall(r"Paid: (\d+) calls", whole.stderr)[0])
        cut = lrgd("optimize", *options, "--run", tmp_path / "cut", "--max-calls", calls // 2)
        assert cut.returncode == 2
        said = cut.stderr.splitlines()[-1]
        assert f"the budget of {calls // 2} calls is spent" in said
        assert "--resume" in said
        rest = lrgd("optimize", *options, "--run", tmp_path / "cut", "--resume")
    paid = [int(re.findall(r"Paid: (\d+) calls", said)[0]) for said in (cut.stderr, rest.stderr)]
    assert calls // 2 <= paid[0] <= calls // 2 + 8  # under way when the budget was spent
    assert sum(paid) == calls
    assert results(tmp_path / "cut") == results(tmp_path / "whole")


def test_a_dry_run_says_what_the_run_will_need_and_its_answers_are_kept(
    saved: Path, tmp_path: Path
) -> None:
    with LoopbackModel() as server:
        options = [saved, "--rounds", 2, *endpoint(server), "--run", tmp_path / "run"]
        tried = lrgd("optimize", *options, "--dry-run")
        assert tried.returncode == 0, tried.stderr
        made = lrgd("optimize", *options)
    needed = int(re.findall(r"about (\d+) calls", tried.stdout)[0])
    used = int(re.findall(r"(\d+) model calls", made.stdout)[0])
    assert needed == pytest.approx(used, rel=0.15)
    repeated = int(re.findall(r"(\d+) requests were answered before", made.stderr)[0])
    assert repeated > 0.5 * used
