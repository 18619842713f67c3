"""Amazon review data 2018: `Video_Games_5.json.gz` or the ratings' CSV, and `meta_Video_Games`."""

from pathlib import Path

from lrgd.evals.data.readers.amazon import read_amazon
from lrgd.evals.data.readers.source import Source


def read_amazon_2018(path: Path) -> Source:
    """Raises InputError: see `read_amazon`."""
    reviews = {
        "user": "reviewerID",
        "item": "asin",
        "time": "unixReviewTime",
        "rating": "overall",
    }
    meta = {
        "id": "asin",
        "title": "title",
        "brand": "brand",
        "categories": "category",
        "description": "description",
    }
    return read_amazon(path, "amazon-2018", reviews, meta)
