"""Fixtures: a memory on disk, the sample bundle, paths of the shared data, a browser."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lrgd.evals.data.bundle import Bundle
from lrgd.evals.data.protocol import freeze
from lrgd.evals.data.sample import sample_world
from lrgd.memory import DemonstrationMemory
from tests.scripted import hashed_words

GAMES = Path(__file__).parents[2] / "shared" / "data" / "amazon-games"

CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture
def memory(tmp_path: Path) -> DemonstrationMemory:
    return DemonstrationMemory.at(tmp_path / "memory", hashed_words)


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    return freeze(sample_world(shoppers=40), users=12, candidates=20, history=20, seed=1)


@pytest.fixture
def games() -> Path:
    if not GAMES.is_dir():
        pytest.skip("the Amazon Games files are not beside the project")
    return GAMES


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Playwright's browser: /usr/bin/chromium, or what CHROMIUM names."""
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        program = os.environ.get("CHROMIUM", "/usr/bin/chromium")
        browser = playwright.chromium.launch(executable_path=program, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()
