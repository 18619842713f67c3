"""What `--model` may name where no server is named: the catalogue, a folder, the model hub."""

import re
from pathlib import Path

from lrgd.core.errors import InputError, WeightsError
from lrgd.serving.models.cache import fetch, usable
from lrgd.serving.models.catalogue import catalogue
from lrgd.serving.models.fetch import Report, silent

HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
"""OWNER/NAME."""

WANTED = ["*.safetensors", "*.json", "*.jinja", "*.model", "*.txt"]
"""Weights, configuration, tokenizer: never code, never pickles."""

UNWANTED = ["*/*", "consolidated*"]
"""Other formats' folders, and the weights a second time."""


def folder_of(given: str, *, report: Report = silent) -> Path:
    """The folder of a model; one of the catalogue or of the hub is fetched if it is not there.

    Args:
        given: a name of the catalogue, else a folder, else OWNER/NAME on the hub (from the hub's
            local cache where the hub cannot be reached).
        report: hears how fetching goes on; silent where nothing is fetched.

    Raises:
        InputError: none of the three.
        WeightsError: it cannot be fetched, or holds no weights.
    """
    if given in catalogue():
        return fetch(given, report=report)
    if (folder := Path(given).expanduser()).is_dir():
        return usable(folder)
    if HUB_NAME.fullmatch(given):
        return _from_hub(given)
    raise InputError(
        f"no model {given!r}: name one of the catalogue ({', '.join(catalogue())}), a folder, "
        "or OWNER/NAME on the model hub"
    )


def name_of(given: str) -> str:
    """The name in run folders and reports: what was given, a folder without a trailing slash."""
    return given if given in catalogue() else str(Path(given))


def _from_hub(name: str) -> Path:
    from httpx2 import HTTPError
    from huggingface_hub import snapshot_download

    try:
        folder = snapshot_download(name, allow_patterns=WANTED, ignore_patterns=UNWANTED)
    except (OSError, ValueError, HTTPError) as error:
        reason = " ".join(str(error).split())[:200]
        raise WeightsError(
            f"no folder {name}, and the model hub does not give {name}: {reason}; without the hub "
            f"take one of the catalogue ({', '.join(catalogue())}) or a local folder"
        ) from error
    return usable(Path(folder))
