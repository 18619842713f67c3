"""Readers of data sets' files: one file a format, one registry."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from lrgd.evals.data.readers.amazon import read_amazon_2018, read_amazon_2023
from lrgd.evals.data.readers.lcrec import read_lcrec
from lrgd.evals.data.readers.recbole import read_recbole
from lrgd.evals.data.readers.source import Source

Format = Literal["amazon-2018", "amazon-2023", "recbole", "lcrec"]

READERS: dict[Format, Callable[[Path], Source]] = {
    "amazon-2018": read_amazon_2018,
    "amazon-2023": read_amazon_2023,
    "recbole": read_recbole,
    "lcrec": read_lcrec,
}

__all__ = ["READERS", "Format", "Source"]
