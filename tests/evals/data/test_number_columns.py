from random import Random

import pytest

from lrgd.core.errors import InputError
from lrgd.evals.data.cleaning import Rules, clean
from tests.evals.data.test_cleaning import Row, source

USERS, LENGTH = 9, 8


def rows(column: list[str], ratings: list[str | None] | None = None) -> list[Row]:
    """USERS users with LENGTH items each; the n-th interaction has the n-th value as its time."""
    given = ratings or [None] * len(column)
    return [
        (f"u{n // LENGTH}", f"i{n % LENGTH}", time, rating)
        for n, (time, rating) in enumerate(zip(column, given, strict=True))
    ]


def stars(step: float = 1, most: int = 5) -> list[str]:
    rng = Random(1)
    return [str(int(1 + rng.random() * most / step) * step) for _ in range(USERS * LENGTH)]


@pytest.mark.parametrize("values", [stars(), stars(0.5), stars(most=10)])
def test_ratings_are_no_times(values: list[str]) -> None:
    with pytest.raises(InputError, match=r"small: field time holds no time: .* looks like ratings"):
        clean(source(rows(values)), Rules(1))


def test_one_time_for_all_is_none() -> None:
    with pytest.raises(InputError, match=r"field time holds no time: it is 8 throughout; name"):
        clean(source(rows(["8"] * USERS * LENGTH)), Rules(1))


def test_times_are_no_ratings() -> None:
    times = [str(1_300_000_000 + n) for n in range(USERS * LENGTH)]
    with pytest.raises(InputError, match="field rating holds no rating: 1300000071 looks like a t"):
        clean(source(rows(times, list(times))), Rules(1))


@pytest.mark.parametrize(
    "values",
    [
        [str(n % LENGTH) for n in range(USERS * LENGTH)],  # positions in the sequence
        [str(n % LENGTH // 2 * 86_400) for n in range(USERS * LENGTH)],  # days, half of them tied
        [str(1.3e9 + n) for n in range(USERS * LENGTH)],
        [str(-n) for n in range(USERS * LENGTH)],  # before 1970
    ],
)
def test_times_of_every_kind_are_read(values: list[str]) -> None:
    data, _ = clean(source(rows(values, [*stars()])), Rules(1))
    assert len(data.sequences) == USERS


def test_users_of_one_interaction_have_no_order_to_lose() -> None:
    single: list[Row] = [("u", "a", "8", None), ("v", "b", "8", None)]
    assert len(clean(source(single), Rules(1))[0].sequences) == 2
