from pathlib import Path

import pytest

from lrgd.core.errors import InputError
from lrgd.evals.methods import METHODS
from lrgd.evals.runs.suites import load_suite

SUITES = sorted((Path(__file__).parents[3] / "suites").glob("*.yaml"))


@pytest.mark.parametrize("file", SUITES, ids=lambda file: file.stem)
def test_the_projects_suites_are_whole(file: Path) -> None:
    suite = load_suite(file)
    assert suite.name == file.stem
    assert suite.evaluation().methods == tuple(METHODS)
    assert suite.loop().paths == 3


def test_a_suite_of_the_sample_world_needs_no_files() -> None:
    suite = load_suite(next(file for file in SUITES if file.stem == "sample"))
    small = suite.data.model_copy(update={"users": 3, "candidates": 5})
    bundle = small.bundle(None, None)
    assert len(bundle.users) == 3
    assert bundle.made_by["candidates"] == 5


def test_a_suite_of_files_needs_to_know_where_they_are() -> None:
    suite = load_suite(next(file for file in SUITES if file.stem == "games"))
    with pytest.raises(InputError, match="--data DIR"):
        suite.data.bundle(None, None)


def test_a_setting_that_is_wrong_is_named_with_its_file(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text("name: s\nabout: s\ndata: {source: sample}\nsettings: {rounds: many}\n")
    with pytest.raises(InputError, match=r"s\.yaml: settings: rounds: Input should be a valid"):
        load_suite(file)
    file.write_text("- name\n")
    with pytest.raises(InputError, match=r"s\.yaml: suite: "):
        load_suite(file)
