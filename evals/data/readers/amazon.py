"""Amazon reviews, 2018 and 2023: where the files are, and the CSV of ratings that both have.

Source: Ni, Li, McAuley (EMNLP 2019), https://cseweb.ucsd.edu/~jmcauley/datasets/amazon_v2/;
Hou et al. (arXiv 2403.03952), https://amazon-reviews-2023.github.io/.
"""

import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from lrgd.core.errors import InputError
from lrgd.evals.data.readers.lines import (
    Lines,
    existing,
    is_number,
    json_lines,
    numbered,
    separated,
)
from lrgd.evals.data.readers.source import INTERACTION, ITEM, Source, as_text, slug

_REVIEWS = re.compile(
    r"(?P<prefix>reviews?_|ratings?_)?(?P<category>.+?)(_5)?\.(?P<kind>json|jsonl|csv)(\.gz)?"
)
_ASIN = re.compile(r"B[0-9A-Z]{9}|\d{9}[\dX]")
_COLUMNS = {
    "user": ("user_id", "user", "reviewerid", "userid"),
    "item": ("parent_asin", "item_id", "item", "asin", "itemid"),
    "time": ("timestamp", "time", "unixreviewtime"),
    "rating": ("rating", "overall"),
}


def read_amazon(path: Path, year: str, reviews: dict[str, str], meta: dict[str, str]) -> Source:
    """Reviews or ratings, with the metadata beside them.

    Args:
        path: the file of reviews or ratings, or the folder that holds one.
        reviews, meta: our columns -> the fields of the JSON lines.

    Raises:
        InputError: no such files, several that could be meant, or a CSV whose columns are unclear.
    """
    found, category = _reviews_file(path)
    about = json_lines(_meta_file(found, category), meta)
    if ".csv" in found.suffixes:
        lines, notes = _ratings(found)
    else:
        lines, notes = json_lines(found, reviews), {}
    return Source(
        name=slug(year, category),
        files=(found, about.path),
        interactions=as_text(lines.frame, lines.names, INTERACTION),
        items=as_text(about.frame, about.names, ITEM),
        required=INTERACTION,
        fault=lambda: lines.fault(INTERACTION) or about.fault(["id"]),
        notes=notes,
    )


def _reviews_file(path: Path) -> tuple[Path, str]:
    """The file of interactions, and the category in its name."""
    files = sorted(path.iterdir()) if path.is_dir() else [existing(path)]
    found = [
        (file, match["category"])
        for file in files
        if not file.name.startswith("meta_") and (match := _REVIEWS.fullmatch(file.name))
    ]
    if len(found) != 1:
        names = ", ".join(file.name for file, _ in found) or "none"
        raise InputError(
            f"{path}: wanted one file of reviews or ratings (.json, .jsonl, .csv; also .gz), "
            f"found {names}; give the file itself as --path"
        )
    return found[0]


def _meta_file(reviews: Path, category: str) -> Path:
    names = [f"meta_{category}{end}" for end in (".json.gz", ".json", ".jsonl.gz", ".jsonl")]
    for name in names:
        if (reviews.parent / name).is_file():
            return reviews.parent / name
    raise InputError(f"{reviews.parent}: no metadata beside {reviews.name}: wanted {names[0]}")


def _ratings(path: Path) -> tuple[Lines, dict[str, str]]:
    """A CSV of ratings; which column is which is told by its header, or by how ASINs look."""
    rows = [line.rstrip("\r\n").split(",") for _, line in islice(numbered(path), 1000)]
    if not rows or len(rows[0]) < 4:
        raise InputError(f"{path}:1: wanted 4 fields: user, item, rating, timestamp in any order")
    header = 0 if is_number(rows[0][2]) else 1
    columns = _named(path, rows[0]) if header else _guessed(path, rows)
    fields = [columns.get(n, f"field {n + 1}") for n in range(len(rows[0]))]
    lines = separated(path, {name: name for name in INTERACTION}, fields, ",", header=header)
    how = "named by the header" if header else "told by how ASINs look"
    return lines, {"columns": f"{', '.join(fields)} ({how})"}


def _named(path: Path, header: Sequence[str]) -> dict[int, str]:
    lower = [name.strip().lower() for name in header]
    columns = {}
    for ours, known in _COLUMNS.items():
        at = next((lower.index(name) for name in known if name in lower), None)
        if at is None:
            raise InputError(f"{path}:1: no column for {ours}; known names: {', '.join(known)}")
        columns[at] = ours
    return columns


def _guessed(path: Path, rows: Sequence[Sequence[str]]) -> dict[int, str]:
    # The 2018 files say item,user,rating,timestamp; those of 2014 user,item,rating,timestamp.
    first, second = (
        sum(bool(_ASIN.fullmatch(row[at])) for row in rows if len(row) == 4) / len(rows)
        for at in (0, 1)
    )
    if abs(first - second) < 0.5:
        raise InputError(
            f"{path}:1: cannot tell users from items: {first:.0%} of the first column and "
            f"{second:.0%} of the second look like ASINs; put a line user,item,rating,timestamp "
            "or item,user,rating,timestamp at the top"
        )
    item = 0 if first > second else 1
    return {item: "item", 1 - item: "user", 2: "rating", 3: "time"}
