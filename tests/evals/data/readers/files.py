"""Small files of every format, generated: the same three users and four items in each."""

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

ITEMS = ["B000000001", "B000000002", "B000000003", "B000000004"]
TITLES = ["Fire & Ice", "Halo <Limited Edition>", "Zelda", "Doom"]
ROWS = [
    # user, item, time, rating: not in time order in the file.
    ("A1", ITEMS[1], 1_300_000_000, 4.0),
    ("A1", ITEMS[0], 1_200_000_000, 5.0),
    ("A1", ITEMS[2], 1_400_000_000, 1.0),
    ("A2", ITEMS[3], 1_200_000_000, 3.0),
    ("A2", ITEMS[2], 1_200_000_000, 3.0),
    ("A2", ITEMS[0], 1_200_000_001, 3.0),
    ("A3", ITEMS[0], 1_500_000_000, 5.0),
    ("A3", ITEMS[1], 1_500_000_001, 2.0),
    ("A3", ITEMS[2], 1_500_000_002, 5.0),
    ("A3", ITEMS[3], 1_500_000_003, 5.0),
]
SEQUENCES = {
    "A1": (ITEMS[0], ITEMS[1], ITEMS[2]),
    "A2": (ITEMS[3], ITEMS[2], ITEMS[0]),
    "A3": (ITEMS[0], ITEMS[1], ITEMS[2], ITEMS[3]),
}


def write(path: Path, text: str) -> Path:
    """Text to a file; gzip where the name says so."""
    data = text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def json_lines(rows: Iterable[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def amazon_2018(folder: Path) -> Path:
    reviews = (
        {
            "overall": rating,
            "verified": True,
            "reviewerID": user,
            "asin": item,
            "style": {"Format:": " Video Game"},
            "reviewText": "good",
            "unixReviewTime": time,
        }
        for user, item, time, rating in ROWS
    )
    write(folder / "Video_Games_5.json.gz", json_lines(reviews))
    write(folder / "meta_Video_Games.json.gz", json_lines(_meta_2018()))
    return folder


def amazon_2018_csv(folder: Path) -> Path:
    lines = (f"{item},{user},{rating},{time}\n" for user, item, time, rating in ROWS)
    write(folder / "Video_Games.csv", "".join(lines))
    write(folder / "meta_Video_Games.json", json_lines(_meta_2018()))
    return folder


def amazon_2023(folder: Path) -> Path:
    reviews = (
        {
            "rating": rating,
            "title": "of the review",
            "asin": "a variant",
            "parent_asin": item,
            "user_id": user,
            "timestamp": time * 1000 + 7,
        }
        for user, item, time, rating in ROWS
    )
    items = (
        {
            "title": title,
            "store": "Nintendo",
            "categories": ["Video Games", "PC"],
            "description": ["First.", "Second."],
            "parent_asin": item,
            "price": None,
        }
        for item, title in zip(ITEMS, TITLES, strict=True)
    )
    write(folder / "Video_Games.jsonl", json_lines(reviews))
    write(folder / "meta_Video_Games.jsonl", json_lines(items))
    return folder


def recbole(folder: Path) -> Path:
    rows = "".join(f"{u}\t{i}\t{r}\t{t}\n" for u, i, t, r in ROWS)
    header = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    write(folder / "games.inter", header + rows)
    items = "".join(f"{i}\t{t}\tVideo PC\n" for i, t in zip(ITEMS, TITLES, strict=True))
    write(folder / "games.item", "item_id:token\tmovie_title:token_seq\tclass:token_seq\n" + items)
    return folder


def lcrec(folder: Path) -> Path:
    numbers = {item: n for n, item in enumerate(ITEMS)}
    sequences = {user: [numbers[i] for i in items] for user, items in SEQUENCES.items()}
    write(folder / "Games.inter.json", json.dumps(sequences))
    items = {
        str(n): {
            "title": title,
            "brand": "Nintendo",
            "categories": "Video Games,PC",
            "description": "Long ago.",
        }
        for n, title in enumerate(TITLES)
    }
    write(folder / "Games.item.json", json.dumps(items))
    return folder


WRITERS: dict[str, Callable[[Path], Path]] = {
    "amazon-2018": amazon_2018,
    "amazon-2018 csv": amazon_2018_csv,
    "amazon-2023": amazon_2023,
    "recbole": recbole,
    "lcrec": lcrec,
}


def rows_of(path: Path, delimiter: str = ",") -> list[dict[str, str]]:
    """A written table, row by row."""
    text = io.StringIO(path.read_text("utf-8"), newline="")
    quoting = csv.QUOTE_MINIMAL if delimiter == "," else csv.QUOTE_NONE
    return list(csv.DictReader(text, delimiter=delimiter, quoting=quoting))


def _meta_2018() -> list[dict[str, Any]]:
    """Brand, category and description as they occur: texts, lists, markup, nothing."""
    return [
        {
            "asin": ITEMS[0],
            "title": "Fire &amp;amp; <span>Ice</span>",
            "brand": "by\n    Nintendo",
            "category": ["Video Games", "PC &amp; Mac", "</span></span></span>", "Chopped"],
            "description": ["<p>First.</p>", "Second&nbsp;one."],
        },
        {"asin": ITEMS[1], "title": TITLES[1], "brand": ["Bungie"], "category": "Video Games"},
        {"asin": ITEMS[2], "title": TITLES[2], "description": "x" * 300 + " " + "y" * 300},
        {"asin": ITEMS[3], "title": TITLES[3], "brand": None, "category": [], "description": []},
        {"asin": ITEMS[3], "title": "Doom, again"},
        {"asin": "B000000009", "title": "Nobody bought this"},
    ]
