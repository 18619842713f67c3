import pytest

import lrgd


def test_every_public_name_can_be_imported() -> None:
    assert lrgd.__all__ == sorted(n for names in lrgd._HOMES.values() for n in names)
    for name in lrgd.__all__:
        assert getattr(lrgd, name).__name__ == name


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = lrgd.nothing
