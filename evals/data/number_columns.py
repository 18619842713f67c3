"""Columns of numbers that hold something else than their name says: recognised, then refused.

A list sorted by ratings would look like any other, and every figure made of it would be wrong.
"""

import polars as pl

from lrgd.core.errors import InputError
from lrgd.evals.data.readers.source import Source

LEAST_UNIX_TIME = 1e8
"""Seconds: March 1973. No rating is as large."""
MOST_STARS = 10
TIED = 1 / 3
"""Share of interactions at the very time of another of the same user, from which small numbers in
half steps are taken for ratings: positions in a sequence are never tied."""


def refuse_other_numbers(source: Source, frame: pl.DataFrame) -> None:
    """Refuse ratings that are times, and times that are ratings or do not differ.

    Args:
        frame: columns user, time and rating, the numbers as Float64; those that the source
            requires have no null.

    Raises:
        InputError: names file and field, and what the values look like.
    """
    for column, look in (("rating", _no_rating), ("time", _no_time)):
        if column in source.required and (looks := look(frame)):
            field = source.interactions.fields[column]
            raise InputError(
                f"{source.files[0]}: field {field} holds no {column}: {looks}; name the columns in "
                f"their order, or give a file with a {column}"
            )


def _no_rating(frame: pl.DataFrame) -> str | None:
    highest = frame.select(pl.col("rating").max()).item()
    return f"{highest:.0f} looks like a time" if highest >= LEAST_UNIX_TIME else None


def _no_time(frame: pl.DataFrame) -> str | None:
    time = pl.col("time")
    lowest, highest = frame.select(time.min(), highest=time.max()).row(0)
    if lowest < highest and highest > MOST_STARS:
        return None
    tied = frame.select((pl.len().over("user", "time") > 1).mean()).item()
    if lowest == highest:
        return f"it is {lowest:g} throughout" if tied else None
    stars = lowest >= 0 and frame.select((time * 2 % 1 == 0).all()).item()
    return f"{lowest:g} to {highest:g}, it looks like ratings" if stars and tied > TIED else None
