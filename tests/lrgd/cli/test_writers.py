"""One run, one writer; spending is reserved before it is spent. In processes, as people do it."""

import json
import subprocess
import time
from pathlib import Path
from typing import Any

from lrgd.evals.runs.folder import RunFolder
from tests.loopback import Answer, LoopbackModel, sensible
from tests.lrgd.cli.conftest import USERS, Shop, records, run


def slow(path: str, body: dict[str, Any]) -> Answer:
    time.sleep(0.2)
    return sensible(path, body)


def test_a_run_that_is_being_written_can_be_read_and_not_written(
    shop: Shop, tmp_path: Path
) -> None:
    folder = shop.copy(tmp_path)
    with RunFolder(folder).writing("lrgd suite run"):
        for name, more in [("optimize", ("--resume",)), ("evaluate", ())]:
            second = run(shop.command(name, folder, *more))
            assert second.returncode == 2
            [line] = second.stderr.splitlines()
            assert f"{folder} is being written by `lrgd suite run` (pid " in line
        readers = [
            subprocess.Popen(shop.command("recommend", folder), stdout=subprocess.PIPE)
            for _ in range(2)
        ]
        for reader in readers:
            assert b"Beta" in reader.communicate(timeout=120)[0]
            assert reader.returncode == 0
    assert run(shop.command("evaluate", folder)).returncode == 0


def test_two_evaluations_at_once_are_one(shop: Shop, tmp_path: Path) -> None:
    folder = shop.copy(tmp_path)
    for name in ("scores.jsonl", "answers.sqlite"):
        (folder / name).unlink()
    with LoopbackModel(slow) as server:
        both = [
            subprocess.Popen(
                Shop(shop.folder, server).command("evaluate", folder),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(2)
        ]
        told = [process.communicate(timeout=120)[1] for process in both]
    first, second = sorted(range(2), key=lambda n: both[n].returncode)
    assert (both[first].returncode, both[second].returncode) == (0, 2)
    assert "is being written by `lrgd evaluate`" in told[second]
    assert_scored_once(shop, folder)


def assert_scored_once(shop: Shop, folder: Path) -> None:
    scores = (folder / "scores.jsonl").read_text().splitlines()
    keys = [(s["method"], s["seed"], s["user_id"]) for s in map(json.loads, scores)]
    assert len(keys) == len(set(keys))
    again = run(shop.command("evaluate", folder))
    assert again.returncode == 0, again.stderr
    assert {row["n"] for row in json.loads(again.stdout)["methods"]} == {len(USERS)}


def test_lines_that_were_doubled_by_hand_count_once(shop: Shop, tmp_path: Path) -> None:
    folder = shop.copy(tmp_path)
    as_it_was = json.loads(run(shop.command("evaluate", folder)).stdout)
    for name in ("scores.jsonl", "journal.jsonl"):
        file = folder / name
        file.write_bytes(file.read_bytes() * 2)
    found = run(shop.command("evaluate", folder))
    assert json.loads(found.stdout) == as_it_was
    assert found.stderr.count("lines stand there twice and count once") == 2
    assert f"journal.jsonl: {len(USERS)} lines stand there twice" in found.stderr


def test_two_different_lines_for_one_user_are_refused(shop: Shop, tmp_path: Path) -> None:
    folder = shop.copy(tmp_path)
    file = folder / "scores.jsonl"
    lines = file.read_text().splitlines()
    other = {**json.loads(lines[1]), "rank": 99}
    file.write_text("\n".join([*lines, json.dumps(other)]) + "\n")
    refused = run(shop.command("evaluate", folder))
    assert refused.returncode == 2
    [line] = refused.stderr.splitlines()
    assert f"{file}:{len(lines) + 1}: another record of" in line
    assert "than in line 2: delete one of the two lines" in line


def test_one_call_is_one_call_whatever_is_under_way(shop: Shop, tmp_path: Path) -> None:
    def asked(server: LoopbackModel) -> int:
        """Notes that were asked for; the probe's questions are in no budget."""
        return sum("note" in str(body.get("messages")) for _, body, _ in server.requests)

    with LoopbackModel(slow) as server:
        own = Shop(shop.folder, server)
        options = ("--paths", 3)
        cut = run(own.command("optimize", tmp_path / "cut", *options, "--max-calls", 1))
        assert cut.returncode == 2
        assert "Paid: 1 calls" in cut.stderr
        assert "the budget of 1 calls is spent; what is done is kept" in cut.stderr
        assert asked(server) == 1
        more = run(own.command("optimize", tmp_path / "cut", *options, "--resume"))
        assert more.returncode == 0, more.stderr
        whole = run(own.command("optimize", tmp_path / "whole", *options))
    assert records(tmp_path / "cut") == records(tmp_path / "whole")
    assert paid(cut) + paid(more) == paid(whole)


def paid(done: "subprocess.CompletedProcess[str]") -> int:
    return int(done.stderr.split("Paid: ")[1].split()[0])
