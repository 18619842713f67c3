"""The user's cache of models: one folder a model of the catalogue."""

import os
from pathlib import Path

from platformdirs import user_cache_path
from pydantic import ValidationError

from lrgd.core.errors import WeightsError
from lrgd.serving.models.catalogue import entry_of
from lrgd.serving.models.fetch import PROVENANCE, WEIGHTS, Provenance, Report, hash_of, make, silent

ENVIRONMENT = "LRGD_MODELS"
"""The environment variable that moves the cache."""


def models_folder() -> Path:
    """Where models lie: what LRGD_MODELS says, or `lrgd/models` in the user's cache folder."""
    moved = os.environ.get(ENVIRONMENT)
    return Path(moved).expanduser().absolute() if moved else user_cache_path("lrgd") / "models"


def fetched(name: str) -> Path | None:
    """The folder of a catalogue's model, None where it is not fetched.

    Raises:
        InputError: no such name in the catalogue.
    """
    folder = models_folder() / entry_of(name).name
    return folder if folder.is_dir() else None


def fetch(name: str, *, report: Report = silent) -> Path:
    """The folder of a catalogue's model, fetched if it is not there.

    Raises:
        InputError: no such name in the catalogue.
        WeightsError: it cannot be fetched, or something was taken out of its folder.
    """
    entry, folder = entry_of(name), models_folder() / name
    if not folder.exists():
        make(entry, folder, report)
    return usable(folder)


def usable(folder: Path) -> Path:
    """The folder itself, if it holds a model.

    Raises:
        WeightsError: no configuration or no safetensors in it.
    """
    if not (folder / "config.json").is_file():
        raise WeightsError(f"{folder} has no config.json: name a Hugging Face model folder")
    if not any(folder.glob("*.safetensors")):
        raise WeightsError(f"{folder} has no weights (*.safetensors; no other format is read)")
    return folder


def verify(folder: Path) -> Provenance:
    """Compare the weights with what was noted when they were converted.

    Raises:
        WeightsError: they differ, or nothing was noted.
    """
    again = f"delete {folder} and fetch it again"
    try:
        noted = Provenance.model_validate_json((folder / PROVENANCE).read_text("utf-8"))
        found = hash_of(folder / WEIGHTS)
    except (OSError, ValidationError) as error:
        reason = " ".join(str(error).split())[:200]
        raise WeightsError(f"cannot check the weights ({reason}): {again}") from error
    if found != noted.weights_sha256:
        raise WeightsError(f"{WEIGHTS} has changed since it was converted: {again}")
    return noted
