"""A model on loopback for the tabs of a test file."""

from collections.abc import Iterator

import pytest

from tests.loopback import LoopbackModel


@pytest.fixture(scope="module")
def server() -> Iterator[LoopbackModel]:
    with LoopbackModel() as running:
        yield running
