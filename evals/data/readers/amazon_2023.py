"""Amazon Reviews 2023: `Video_Games.jsonl` or the ratings' CSV, and `meta_Video_Games.jsonl`.

Variants of a product share a parent, whose id is the item.
"""

from pathlib import Path

from lrgd.evals.data.readers.amazon import read_amazon
from lrgd.evals.data.readers.source import Source


def read_amazon_2023(path: Path) -> Source:
    """Raises InputError: see `read_amazon`."""
    reviews = {"user": "user_id", "item": "parent_asin", "time": "timestamp", "rating": "rating"}
    meta = {
        "id": "parent_asin",
        "title": "title",
        "brand": "store",
        "categories": "categories",
        "description": "description",
    }
    return read_amazon(path, "amazon-2023", reviews, meta)
