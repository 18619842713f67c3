"""`make audit` never calls a package safe that nobody looked up."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci" / "audit.py"
SAFE = {"name": "safe", "version": "1", "vulns": []}
SKIPPED = {"name": "other", "skip_reason": "Dependency not found on PyPI"}
KNOWN = {"name": "bad", "version": "2", "vulns": [{"id": "PYSEC-1"}, {"id": "PYSEC-2"}]}


@pytest.fixture(scope="module")
def audit() -> Any:
    spec = importlib.util.spec_from_file_location("audit", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("packages", "code", "says"),
    [
        ([SAFE, SAFE], 0, "no known vulnerability in 2 packages"),
        ([SAFE, {**SKIPPED, "name": "lrgd"}], 0, "no known vulnerability"),
        ([SAFE, SKIPPED], 2, "1 of 2 packages could not be looked up (other)"),
        ([SKIPPED] * 20, 2, "20 of 20 packages could not be looked up"),
        ([SAFE, KNOWN, SKIPPED], 1, "bad 2: PYSEC-1, PYSEC-2"),
        ([], 2, "0 of 0 packages"),
    ],
)
def test_what_is_said_of_a_report(audit: Any, packages: Any, code: int, says: str) -> None:
    found, told = audit.outcome(packages)
    assert found == code
    assert says in told
    assert len(told.splitlines()) == 1


@pytest.mark.parametrize("tool", ["/bin/false", "/bin/true"])
def test_a_tool_that_says_nothing_is_no_success(
    audit: Any, tool: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["audit.py", tool, "."])
    with pytest.raises(SystemExit) as ended:
        audit.main()
    assert ended.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
