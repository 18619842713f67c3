"""Preparing a bundle: `lrgd data prepare` on generated Amazon files, seconds and peak memory.

    python -m benchmarks.data_preparation [--interactions 20000000] [--form json]

Generates a ratings CSV (or JSON lines with review texts) and metadata as Amazon 2018 has them, with
popular items, active users, repeats and items without a title, and runs the command in a process of
its own. Prints one JSON object; `command_s` includes starting Python, `work_s` does not.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

PREPARE = """
import atexit
import time
import lrgd.cli.data
from lrgd.cli.main import main
begin = time.perf_counter()
atexit.register(lambda: print(time.perf_counter() - begin))
main()
"""


def main() -> None:
    """Generate, prepare, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--interactions", type=int, default=500_000, help="rows to generate")
    parser.add_argument("--form", choices=["csv", "json"], default="csv", help="form of the rows")
    asked = parser.parse_args()
    with TemporaryDirectory() as folder:
        generate(Path(folder), asked.interactions, asked.form)
        found = prepare(Path(folder))
    print(json.dumps({"interactions": asked.interactions, "form": asked.form, **found}, indent=2))


def generate(folder: Path, interactions: int, form: str) -> None:
    """Write `Games.csv` or `Games_5.json`, and `meta_Games.json`."""
    rng = np.random.default_rng(7)
    users, items = interactions // 9, interactions // 30
    frame = pl.LazyFrame(
        {
            "user": (rng.beta(1, 3, interactions) * users).astype(np.uint32),
            "item": (rng.beta(0.5, 3, interactions) * items).astype(np.uint32),
            "overall": rng.integers(1, 6, interactions, dtype=np.uint8),
            "unixReviewTime": 86_400 * rng.integers(11_000, 17_800, interactions),
        }
    ).select(
        asin=_padded("B", "item", 9),
        reviewerID=_padded("A", "user", 13),
        overall=pl.col("overall").cast(pl.Float32),
        unixReviewTime="unixReviewTime",
    )
    if form == "csv":
        frame.sink_csv(folder / "Games.csv", include_header=False)
    else:
        text = "It works as it should, and came on time. " * 8
        frame.with_columns(reviewText=pl.lit(text)).sink_ndjson(folder / "Games_5.json")
    _items(items).sink_ndjson(folder / "meta_Games.json")


def prepare(folder: Path) -> dict[str, float]:
    """Run the command; seconds and gigabytes."""
    out = folder / "bundle"
    command = ["data", "prepare", "--source", "amazon-2018", "--path", folder, "--out", out]
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", PREPARE, *map(str, command)], check=True, stdout=subprocess.PIPE
    )
    wall = time.perf_counter() - begin
    work = float(done.stdout.split()[-1])
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024**2
    return {"command_s": round(wall, 2), "work_s": round(work, 2), "peak_gb": round(peak, 2)}


def _padded(letter: str, column: str, digits: int) -> pl.Expr:
    return pl.lit(letter) + pl.col(column).cast(pl.String).str.zfill(digits)


def _items(items: int) -> pl.LazyFrame:
    frame = pl.LazyFrame({"item": np.arange(items, dtype=np.uint32)})
    number = pl.col("item").cast(pl.String)
    return frame.select(
        asin=_padded("B", "item", 9),
        title=pl.when(pl.col("item") % 50 > 0).then(pl.lit("Quest &amp; Tower, Part ") + number),
        brand=pl.lit("by\n    Nintendo"),
        category=pl.concat_list(pl.lit("Video Games"), pl.lit("PC")),
        description=pl.concat_list(pl.lit("<p>A game of many hours. </p>" * 10)),
    )


if __name__ == "__main__":
    main()
