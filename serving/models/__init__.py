"""Models that come without a hub, and all else that `--model` may name for the embedded server."""

from lrgd.serving.models.cache import fetch, fetched, models_folder
from lrgd.serving.models.catalogue import DEFAULT, ModelEntry, catalogue
from lrgd.serving.models.fetch import Report
from lrgd.serving.models.resolve import folder_of, name_of

__all__ = [
    "DEFAULT",
    "ModelEntry",
    "Report",
    "catalogue",
    "fetch",
    "fetched",
    "folder_of",
    "models_folder",
    "name_of",
]
