"""Amazon reviews of 2018 and 2023: JSON lines or a CSV of ratings, and the metadata beside them.

2018: `Video_Games_5.json.gz` or `Video_Games.csv`, and `meta_Video_Games.json.gz`. 2023:
`Video_Games.jsonl` or the CSV, and `meta_Video_Games.jsonl`; variants of a product share a parent,
whose id is the item. Source: Ni, Li, McAuley (EMNLP 2019),
https://cseweb.ucsd.edu/~jmcauley/datasets/amazon_v2/; Hou et al. (arXiv 2403.03952),
https://amazon-reviews-2023.github.io/.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path

from lrgd.core.errors import InputError
from lrgd.evals.data.readers.json_lines import json_lines
from lrgd.evals.data.readers.lines import existing
from lrgd.evals.data.readers.separated import Dialect, separated
from lrgd.evals.data.readers.source import INTERACTION, ITEM, Source, slug
from lrgd.evals.data.readers.table import Table

CSV = Dialect(",", quoted=True)
SAMPLE = 1000
"""Lines that tell which column is which."""
MOST = 0.8
"""Share of a column's values that look like what it is; the others are faults, named later."""

_REVIEWS = re.compile(
    r"(?P<prefix>reviews?_|ratings?_)?(?P<category>.+?)(_5)?\.(?P<kind>json|jsonl|csv)(\.gz)?"
)
_ASIN = re.compile(r"B[0-9A-Z]{9}|\d{9}[\dX]")
_NUMBER = re.compile(r"\s*\d+(\.\d*)?\s*")
_COLUMNS = {
    "user": ("user_id", "user", "reviewerid", "userid"),
    "item": ("parent_asin", "item_id", "item", "asin", "itemid"),
    "time": ("timestamp", "time", "unixreviewtime"),
    "rating": ("rating", "overall"),
}
_ORDERS = (("item", "user", "rating", "time"), ("user", "item", "rating", "time"))
"""Columns of the files of 2018, and of 2014."""


def read_amazon_2018(path: Path) -> Source:
    """Reviews of 2018. Raises InputError: see `_read`."""
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
    return _read(path, "amazon-2018", reviews, meta)


def read_amazon_2023(path: Path) -> Source:
    """Reviews of 2023. Raises InputError: see `_read`."""
    reviews = {"user": "user_id", "item": "parent_asin", "time": "timestamp", "rating": "rating"}
    meta = {
        "id": "parent_asin",
        "title": "title",
        "brand": "store",
        "categories": "categories",
        "description": "description",
    }
    return _read(path, "amazon-2023", reviews, meta)


def _read(path: Path, year: str, reviews: dict[str, str], meta: dict[str, str]) -> Source:
    """Reviews or ratings, with the metadata beside them.

    Args:
        path: the file of reviews or ratings, or the folder that holds one.
        reviews, meta: our columns -> the fields of the JSON lines.

    Raises:
        InputError: no such files, several that could be meant, or a CSV whose columns are unclear.
    """
    file, category = _reviews_file(path)
    items = json_lines(_meta_file(file, category), meta, ITEM)
    if ".csv" in file.suffixes:
        table, notes = _ratings(file)
    else:
        table, notes = json_lines(file, reviews, INTERACTION), {}
    return Source(slug(year, category), table, items, notes)


def _reviews_file(path: Path) -> tuple[Path, str]:
    """The file of interactions, and the category in its name."""
    files = sorted(path.iterdir()) if path.is_dir() else [existing(path)]
    candidates = [
        (file, match["category"])
        for file in files
        if not file.name.startswith("meta_") and (match := _REVIEWS.fullmatch(file.name))
    ]
    if len(candidates) != 1:
        names = ", ".join(file.name for file, _ in candidates) or "none"
        raise InputError(
            f"{path}: wanted one file of reviews or ratings (.json, .jsonl, .csv; also .gz), "
            f"found {names}; give the file itself as --path"
        )
    return candidates[0]


def _meta_file(reviews: Path, category: str) -> Path:
    names = [f"meta_{category}{end}" for end in (".json.gz", ".json", ".jsonl.gz", ".jsonl")]
    for name in names:
        if (reviews.parent / name).is_file():
            return reviews.parent / name
    raise InputError(f"{reviews.parent}: no metadata beside {reviews.name}: wanted {names[0]}")


def _ratings(path: Path) -> tuple[Table, dict[str, str]]:
    """A CSV of ratings; which column is which is told by its header, or by how values look."""
    sample = list(islice(CSV.rows(path), SAMPLE))
    first, row = sample[0] if sample else (1, [])
    if len(row) < 4:
        raise InputError(
            f"{path}:{first}: wanted 4 fields between commas: user, item, rating, timestamp in any "
            "order"
        )
    if _is_header(row):
        columns, how, first = _named(path, first, row), "named by the header", first + 1
    else:
        columns, how = _guessed(path, [row for _, row in sample]), "told by how their values look"
    ours = [columns.get(n, f"field {n + 1}") for n in range(len(row))]
    named = how.startswith("named")
    header = [row[n] if named and n in columns else ours[n] for n in range(len(row))]
    fields = {column: header[n] for n, column in columns.items()}
    table = separated(path, CSV, header, fields, INTERACTION, first=first)
    return table, {"columns": f"{', '.join(ours)} ({how})"}


def _is_header(row: Sequence[str]) -> bool:
    known = {name for names in _COLUMNS.values() for name in names}
    named = any(field.strip().lower() in known for field in row)
    return named or not any(map(_NUMBER.fullmatch, row))


def _named(path: Path, line: int, header: Sequence[str]) -> dict[int, str]:
    lower = [name.strip().lower() for name in header]
    columns = {}
    for ours, known in _COLUMNS.items():
        at = next((lower.index(name) for name in known if name in lower), None)
        if at is None:
            raise InputError(
                f"{path}:{line}: no column for {ours}; known names: {', '.join(known)}"
            )
        if lower.count(lower[at]) > 1:
            raise InputError(f"{path}:{line}: two columns are named {lower[at]}: rename one")
        columns[at] = ours
    return columns


def _guessed(path: Path, rows: Sequence[Sequence[str]]) -> dict[int, str]:
    """The columns of a file without a header, as Amazon published them; others are not guessed."""
    shares = [_shares([row[n] for row in rows if len(row) > n]) for n in range(len(rows[0]))]
    looks = [_look(share) for share in shares]
    hint = "put a line at the top that names them, as user,item,rating,timestamp"
    if len(looks) == 4 and looks[2:] == ["rating", "time"]:
        first, second = shares[0]["item"], shares[1]["item"]
        if abs(first - second) >= 0.5:
            return dict(enumerate(_ORDERS[0] if first > second else _ORDERS[1]))
        raise InputError(
            f"{path}:1: cannot tell users from items: {first:.0%} of the first column and "
            f"{second:.0%} of the second look like ASINs; {hint}, in their order"
        )
    wanted = " or ".join(",".join(order) for order in _ORDERS)
    raise InputError(
        f"{path}:1: without a header the columns look like {','.join(looks)}; wanted {wanted} "
        f"(ratings of 0 to 10, Unix times); {hint}, in their order"
    )


def _shares(values: Sequence[str]) -> Mapping[str, float]:
    """How many of a column's values look like an item, a rating, a time: shares of 1."""
    numbers = [float(value) for value in values if _NUMBER.fullmatch(value)]
    return {
        "item": sum(map(bool, map(_ASIN.fullmatch, values))) / len(values),
        "rating": sum(number <= 10 for number in numbers) / len(values),
        # Before 1973 nobody reviewed: smaller numbers are no seconds.
        "time": sum(number > 1e8 for number in numbers) / len(values),
    }


def _look(share: Mapping[str, float]) -> str:
    """What most of a column's values look like."""
    # The item last: a time of ten digits could be an ASIN.
    return next((kind for kind in ("rating", "time", "item") if share[kind] >= MOST), "user")
