"""Tiny random models of several families, loaded in float32."""

from pathlib import Path

import pytest
import torch

from lrgd.serving.embedded.weights import Weights, load
from tests.families import FAMILIES, make


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder for each family."""
    home = tmp_path_factory.mktemp("families")
    return {family: make(family, home / family) for family in FAMILIES}


@pytest.fixture(scope="session", params=["llama-3", "qwen2", "mistral", "qwen3", "phi-3"])
def weights(request: pytest.FixtureRequest, folders: dict[str, Path]) -> Weights:
    return load(folders[request.param], request.param, dtype=torch.float32)


@pytest.fixture(scope="session")
def llama(folders: dict[str, Path]) -> Weights:
    return load(folders["llama-3"], "llama", dtype=torch.float32)
