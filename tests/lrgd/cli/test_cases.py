"""`lrgd cases run`: a case that was written passes on the same model, and fails where it should."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lrgd.agents.values import RankingTask
from lrgd.core.errors import InputError
from lrgd.debug.regression import RegressionCase, read_case, replay
from tests.loopback import LoopbackModel
from tests.scripted import WordRanker, task

LRGD = [sys.executable, "-c", "from lrgd.cli.main import main; main()"]


def case(**changed: Any) -> RegressionCase:
    about: dict[str, Any] = {
        "dataset": "toys",
        "model": "m",
        "mode": "decision",
        "task": task(),
        "demonstration": "wants something blue",
        "regularisation": "",
        "prompt_order": "instruction_first",
        "shuffles": 1,
        "rank_at_most": 1,
    }
    return RegressionCase(**{**about, **changed})


def written(folder: Path, text: str) -> Path:
    path = folder / "case.json"
    path.write_text(text)
    return path


async def test_a_case_is_asked_as_it_says() -> None:
    ranker = WordRanker()
    ranking = await replay(case(regularisation="Be brief.", shuffles=3), ranker)
    assert ranking.rank_of("c1") == 1
    assert len(ranker.asked) == 3
    assert "Be brief." in ranker.asked[0]
    ranking = await replay(case(demonstration=""), ranker)
    assert "Note on" not in ranker.asked[-1]
    assert ranking.rank_of("c1") == 2


def test_a_case_comes_back_from_its_file(tmp_path: Path) -> None:
    assert read_case(written(tmp_path, case().model_dump_json())) == case()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "file: Invalid JSON"),
        ("{}", "dataset: Field required"),
        (case(rank_at_most=4).model_dump_json(), "4 of 4 can never fail"),
        (case().model_dump_json().replace('_id":"c1"', '_id":"c9"'), "task"),
        (case().model_dump_json().replace('"format":1', '"format":2'), "format"),
    ],
)
def test_what_is_no_case_is_refused_with_its_field(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError, match=r"case\.json") as refused:
        read_case(written(tmp_path, text))
    assert words in str(refused.value)


def test_a_case_needs_a_known_next_item(tmp_path: Path) -> None:
    known = task()
    unknown = RankingTask(known.user_id, known.history, known.candidates)
    with pytest.raises(InputError, match="a known next item"):
        read_case(written(tmp_path, case(task=unknown).model_dump_json()))


def test_the_exit_code_tells_of_a_regression(tmp_path: Path) -> None:
    def ranked(best: str) -> Any:
        """A server on which this title is by far the likeliest."""

        def respond(path: str, body: dict[str, Any]) -> Any:
            names = body["questions"]["1"]["criteria"] if "questions" in body else {}
            share = {name: 9.0 if name == best else 1.0 for name in names}
            found = {n: w / sum(share.values()) for n, w in share.items()}
            if path.endswith("/systemone"):
                return 200, {"answers": {"1": {"probabilities": found}}, "usage": {}}, {}
            message = {"role": "assistant", "content": "x"}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            about = {"id": "c", "object": "chat.completion", "created": 0, "model": "m"}
            return 200, {**about, "choices": [choice]}, {}

        return respond

    path = written(tmp_path, case().model_dump_json())
    with LoopbackModel(ranked("blue boat")) as server:
        arguments = ["cases", "run", path, "--base-url", server.url, "--model", "m"]
        arguments += ["--ranking", "decision"]
        good = run(*arguments, "--json")
        server.respond = ranked("red kite")
        worse = run(*arguments)
    assert good.returncode == 0, good.stderr
    assert json.loads(good.stdout)[0]["passed"] is True
    assert worse.returncode == 1, worse.stderr
    assert "WORSE" in worse.stdout
    missing = run("cases", "run", tmp_path / "none.json")
    assert missing.returncode == 2
    assert missing.stderr.count("\n") == 1


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*LRGD, *map(str, arguments)], capture_output=True, text=True, timeout=120
    )
