import subprocess
import sys

import pytest

import lrgd


def test_every_public_name_can_be_imported() -> None:
    assert lrgd.__all__ == sorted(lrgd._HOMES)
    for name in lrgd.__all__:
        assert getattr(lrgd, name).__name__ == name


def test_dir_shows_the_public_names_and_nothing_else() -> None:
    assert dir(lrgd) == lrgd.__all__


def test_importing_the_package_imports_nothing_but_itself() -> None:
    code = "import sys, lrgd; print(*(m for m in sys.modules if m.startswith('lrgd')))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.stdout == "lrgd\n", found.stderr


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = lrgd.nothing
