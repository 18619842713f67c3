"""What commands print fits terminals of 80 and of 40 columns; numbers are whole."""

from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import RenderableType

from lrgd.agents.ranking.modes import Abilities
from lrgd.cli.servers import survey_table
from lrgd.evals.data.bundle import Bundle
from lrgd.evals.report.comparison import compare_runs
from lrgd.evals.statistics import Interval
from lrgd.show import bundle_summary, task_view
from lrgd.show_results import comparison_view, report_view, story
from lrgd.table_view import TableView
from lrgd.trials import Trial, trials_table
from lrgd.workbench import Survey
from tests.evals.report.test_comparison import run
from tests.evals.report.test_report import record, report
from tests.lrgd.test_table_view import NUMBER, rendered

WIDE = 1000
CLEANING = {
    "read": {"interactions": 47_577_131, "users": 2_766_656, "items": 137_249},
    "dropped": {"the same item again": 61_218, "fewer than 5 interactions": 42_000_000},
    "kept": {"interactions": 5_515_913, "users": 150_000, "items": 25_600},
    "tied": 1_204_331,
}


def assert_fits(view: RenderableType, long: str = "") -> None:
    """Every number that a very wide terminal shows is whole in a narrow one.

    Args:
        long: a text of more digits than there are columns, which goes on on the next line.
    """
    wide = rendered(view, WIDE).replace(long, "")
    for width in (80, 40):
        text = rendered(view, width)
        assert "…" not in text
        missing = set(NUMBER.findall(wide)) - set(NUMBER.findall(text))
        assert not missing, f"{missing} are not whole at {width}:\n{text}"
        assert long in "".join(text.split())


@pytest.mark.parametrize("users", [3, 9])
def test_a_report(bundle: Bundle, users: int) -> None:
    view = report_view(report(bundle, users * [1]))
    assert_fits(view)
    said = " ".join(rendered(view, 40).split())
    assert ("too few to tell" in said) == (users == 3)
    assert ("users, clear of 0." in said) == (users == 9)


def test_a_comparison(tmp_path: Path) -> None:
    a = run(tmp_path / "a", {"zero-shot": [3, 3, 3], "LRGD, no perturbation": [3, 7, 1]})
    b = run(tmp_path / "b", {"LRGD, no perturbation": [1, 3, 1], "zero-shot": [3, 3, 1]}, seed=2)
    comparison = compare_runs(a, b)
    assert_fits(comparison_view(comparison))
    assert "too few" in rendered(comparison_view(comparison), 80)


def test_what_doctor_says() -> None:
    assert_fits(
        survey_table(Survey(Abilities(128, 128, 20, letters=50, echo=True), "decision", ""))
    )
    ndcg = Interval(0.5123, 0.4567, 0.5678)
    modes = ("rerank", "likelihood", "decision", "logprobs", "listwise")
    trials = [Trial(mode, 50, 3, ndcg, 123_456, 12.34) for mode in modes]
    assert_fits(TableView(trials_table(trials)))
    assert "too few" not in trials_table(trials).title
    assert "too few to tell" in trials_table([replace(trials[0], tasks=5)]).title


def test_a_bundle(bundle: Bundle) -> None:
    cleaned = replace(bundle, made_by={**bundle.made_by, "cleaning": CLEANING})
    assert_fits(bundle_summary(cleaned), long=cleaned.sha256)


def test_tasks_and_stories(bundle: Bundle) -> None:
    user = next(iter(bundle.users))
    task = bundle.task(user, "validation")
    assert_fits(task_view(task, "validation"))
    assert_fits(story(record(user, 3), task))
