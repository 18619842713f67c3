"""`lrgd web` where it cannot start."""

import sys

import pytest

from lrgd.core.errors import InputError
from lrgd.web.command import _server


def test_without_gradio_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.delitem(sys.modules, "lrgd.web.page", raising=False)
    with pytest.raises(InputError, match=r"no gradio here: pip install 'lrgd\[web\]'"):
        _server()
