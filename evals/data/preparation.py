"""From files to a data set and its origin: what a bundle's manifest says about where it is from."""

from pathlib import Path
from typing import Any, Literal

from lrgd.core.errors import InputError
from lrgd.evals.data.cleaning import Rules, clean
from lrgd.evals.data.datasets import DataSet
from lrgd.evals.data.readers import READERS, Format
from lrgd.evals.data.readers.llmrank import read_llmrank

SourceFormat = Literal["llmrank", Format]

DEFAULT_K_CORE = 5


def read_data(
    source: SourceFormat, path: Path, *, k_core: int | None, min_rating: float | None
) -> tuple[DataSet, dict[str, Any]]:
    """Read and clean a data set.

    Args:
        k_core: None for DEFAULT_K_CORE.

    Returns:
        The data set, and its origin: files, rules, and what was dropped and why. LLMRank's files
        are cleaned already: they are taken as they stand, and have none.

    Raises:
        InputError: malformed files, or a rule that the format cannot serve.
    """
    if source == "llmrank":
        if k_core is not None or min_rating is not None:
            raise InputError("LLMRank's files are 5-core already: leave --k-core, --min-rating out")
        return read_llmrank(path), {}
    rules = Rules(DEFAULT_K_CORE if k_core is None else k_core, min_rating)
    files = READERS[source](path)
    data, report = clean(files, rules)
    origin = {
        "source": source,
        "files": {file.name: f"{file.stat().st_size} bytes" for file in files.files},
        **files.notes,
        "k_core": rules.k_core,
        "min_rating": rules.min_rating,
        "cleaning": report.as_dict(),
    }
    return data, origin
