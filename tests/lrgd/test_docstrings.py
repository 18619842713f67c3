"""Every public name's docstring holds an example; all of them run, and print what they say.

They run in an empty folder, against a model server on loopback in the place of the address that
the examples name.
"""

import doctest
import inspect
import linecache
from pathlib import Path

import pytest

import lrgd
from tests.loopback import LoopbackModel

NAMED = "http://127.0.0.1:8000/v1"


@pytest.mark.parametrize("name", lrgd.__all__)
def test_the_example_of_a_public_name_is_true(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = inspect.getdoc(getattr(lrgd, name)) or ""
    with LoopbackModel() as server:
        parsed = doctest.DocTestParser().get_doctest(
            text.replace(NAMED, server.url), {}, name, None, None
        )
        assert any(example.want for example in parsed.examples), "no example with its output"
        told: list[str] = []
        doctest.DocTestRunner(verbose=False).run(parsed, out=told.append)
    linecache.checkcache()
    assert not told, "".join(told)
