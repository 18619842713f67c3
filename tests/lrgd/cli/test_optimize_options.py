"""What `lrgd optimize` lets a person set of the loop, and what it says of it."""

import json
import subprocess
import sys
from inspect import signature
from pathlib import Path

import pytest

from lrgd.cli.commands import demo
from lrgd.evals.data.bundle import Bundle
from lrgd.evals.runs.folder import RunFolder
from lrgd.graphs import LoopSettings
from tests.loopback import LoopbackModel, Sensible

LRGD = [sys.executable, "-c", "from lrgd.cli.main import main; main()"]


def optimize(
    bundle: Path, run: Path, server: LoopbackModel, *options: object
) -> subprocess.CompletedProcess[str]:
    model = ["--base-url", server.url, "--model", "m"]
    asked = ["optimize", bundle, "--run", run, "--users", 2, *model, *options]
    return subprocess.run([*LRGD, *map(str, asked)], capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def saved(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("options") / "bundle"
    bundle.save(folder)
    return folder


def test_guard_and_judge_are_options_and_kept_with_the_run(saved: Path, tmp_path: Path) -> None:
    options = ["--patience", 1, "--similarity-threshold", 0.5, "--judge", "probability"]
    with LoopbackModel() as server:
        made = optimize(saved, tmp_path, server, "--rounds", 3, "--ranking", "decision", *options)
    assert made.returncode == 0, made.stderr
    assert "perturbed" not in made.stderr
    settings = RunFolder(tmp_path).header().settings
    assert (settings.patience, settings.similarity_threshold) == (1, 0.5)
    assert settings.judge == "probability"
    records = [json.loads(line) for line in (tmp_path / "journal.jsonl").read_text().splitlines()]
    for record in records:
        trials = [t for path in record["paths"] for t in path["trials"]]
        likeliest = max(t["log_probability"] for t in trials if t["verdict"] == "usable")
        texts = {t["demonstration"]["text"] for t in trials if t["log_probability"] == likeliest}
        assert record["chosen"]["text"] in texts


def test_rounds_too_few_for_a_perturbation_are_said(saved: Path, tmp_path: Path) -> None:
    with LoopbackModel() as server:
        made = optimize(saved, tmp_path, server, "--rounds", 3, "--ranking", "decision")
    assert made.returncode == 0
    assert "--patience 2" in made.stderr
    assert "before --rounds 4" in made.stderr


def test_judging_by_probability_needs_probabilities(saved: Path, tmp_path: Path) -> None:
    with LoopbackModel(Sensible(options=0)) as server:
        found = optimize(saved, tmp_path / "run", server, "--judge", "probability")
    assert found.returncode == 2
    assert found.stderr.count("\n") == 1
    assert "--ranking listwise has none" in found.stderr
    assert not (tmp_path / "run").exists()


def test_the_demo_has_rounds_enough_for_a_perturbation() -> None:
    assert signature(demo).parameters["rounds"].default >= LoopSettings().first_perturbed


def chats(server: LoopbackModel) -> list[str]:
    """Prompts of demonstrations that a server was asked for."""
    bodies = [body for path, body, _ in server.requests if path.endswith("/chat/completions")]
    texts = [str(body["messages"][-1]["content"]) for body in bodies]
    return [text for text in texts if "Answer with a new note" in text]


def test_another_model_may_write_than_ranks(saved: Path, tmp_path: Path) -> None:
    with LoopbackModel() as ranks, LoopbackModel() as writes:
        writer = ["--writer", "author", "--writer-url", writes.url]
        made = optimize(saved, tmp_path, ranks, "--rounds", 1, "--ranking", "decision", *writer)
        assert made.returncode == 0, made.stderr
        evaluate = ["evaluate", "--run", str(tmp_path), "--base-url", ranks.url, "--model", "m"]
        without = subprocess.run([*LRGD, *evaluate], capture_output=True, text=True, timeout=120)
    assert chats(writes)
    assert not chats(ranks)
    assert any(path.endswith("/systemone") for path, _, _ in ranks.requests)
    header = RunFolder(tmp_path).header()
    assert (header.model, header.writer, header.settings.model) == ("m", "author", "author")
    assert without.returncode == 2
    assert "--writer author" in without.stderr


def test_shared_texts_are_searched_once_and_begun_with(saved: Path, tmp_path: Path) -> None:
    options = ["--users", 10, "--rounds", 1, "--ranking", "decision", "--shared", 40]
    with LoopbackModel() as server:
        made = optimize(saved, tmp_path, server, *options)
        assert made.returncode == 0, made.stderr
        paid = len(server.requests)
        again = optimize(saved, tmp_path, server, *options, "--resume")
        assert again.returncode == 0, again.stderr
        assert not chats_after(server, paid)
    assert "Shared texts: Effect_D" in made.stdout
    result = json.loads((tmp_path / "shared.json").read_text())
    header = RunFolder(tmp_path).header()
    assert {name: getattr(header.settings, name) for name in result["texts"]} == result["texts"]
    assert header.before_shared is not None


def chats_after(server: LoopbackModel, paid: int) -> list[object]:
    return [r for r in server.requests[paid:] if "a text in a prompt" in str(r).casefold()]


def test_more_users_than_there_are_is_said(saved: Path, bundle: Bundle, tmp_path: Path) -> None:
    with LoopbackModel() as server:
        made = optimize(saved, tmp_path, server, "--users", 5000, "--paths", 1, "--rounds", 1)
    assert made.returncode == 0, made.stderr
    assert f"the bundle has {len(bundle.users)} users, not 5000: all are taken" in made.stderr
    assert len(RunFolder(tmp_path).header().users) == len(bundle.users)


def test_a_prior_is_fitted_first_and_kept(saved: Path, tmp_path: Path) -> None:
    options = ["--prior", "fused", "--rounds", 1, "--paths", 1, "--ranking", "decision"]
    with LoopbackModel() as server:
        made = optimize(saved, tmp_path, server, *options)
        assert made.returncode == 0, made.stderr
        kept = (tmp_path / "prior.json").read_bytes()
        again = optimize(saved, tmp_path, server, *options, "--resume")
        other = optimize(saved, tmp_path, server, *options[2:], "--resume")
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "prior.json").read_bytes() == kept
    assert json.loads(kept)["tasks"] == 2
    assert other.returncode == 2
    assert "its prior is fused, not None" in other.stderr
