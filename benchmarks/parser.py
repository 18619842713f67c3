"""Parses 10,000 hostile answers over 50 candidates: never a crash, always a permutation, how fast?

    python -m benchmarks.parser

Prints one JSON object: milliseconds of CPU an answer, median, 99th percentile, worst. Answers are
drawn by hypothesis from titles, markup, cut-off JSON and noise, up to ten times too long.
"""

import json
import statistics
import time
import warnings

from hypothesis import strategies as st
from hypothesis.errors import NonInteractiveExampleWarning

from lrgd.agents.ranking.parser import parse_list
from lrgd.agents.values import Item

ANSWERS = 10_000
TITLES = [
    f"Quest {n // 2} of the {'Iron' if n % 2 else 'Glass'} Tower, Part {n}" for n in range(50)
]
ITEMS = [Item(str(n), title) for n, title in enumerate(TITLES)]

title = st.sampled_from(TITLES)
line = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "1. ", "2) ", "- ", "**", '"', "[", "{", "| 3 | ", "Rank 4: "]),
    title | st.text(max_size=60),
    st.sampled_from(["", "**", '"', "]", "}", " |", ", ", " - because "]),
    title | st.text(max_size=60),
)
long_list = st.lists(title, min_size=50, max_size=50).map(lambda titles: "\n".join(titles * 10))
as_json = st.lists(title | st.text()).map(lambda titles: json.dumps({"ranking": titles}))
hostile = st.one_of(st.text(), st.lists(line, max_size=100).map("\n".join), as_json, long_list)


def cpu_seconds(answer: str) -> float:
    """Of one parse; the best of three is the parser's own, without a garbage collection."""
    begin = time.thread_time()
    parse_list(answer, ITEMS)
    return time.thread_time() - begin


def main() -> None:
    """Draw the answers, then time the parser alone."""
    warnings.simplefilter("ignore", NonInteractiveExampleWarning)
    drawn = st.lists(hostile, min_size=100, max_size=100)
    answers = [answer for _ in range(ANSWERS // 100) for answer in drawn.example()]
    cut = [answer[: len(answer) * (n % 10 + 1) // 10] for n, answer in enumerate(answers)]
    milliseconds = []
    for answer in cut:
        ranking = parse_list(answer, ITEMS)
        milliseconds.append(1000 * min(cpu_seconds(answer) for _ in range(3)))
        assert sorted(ranking.order) == sorted(item.id for item in ITEMS)
    percentiles = statistics.quantiles(milliseconds, n=100)
    found = {
        "answers": len(cut),
        "longest_chars": max(map(len, cut)),
        "median_ms": percentiles[49],
        "p99_ms": percentiles[98],
        "worst_ms": max(milliseconds),
    }
    print(json.dumps({key: round(value, 4) for key, value in found.items()}, indent=2))


if __name__ == "__main__":
    main()
