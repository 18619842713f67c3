"""BM25: words of the last titles in the candidates' titles (Robertson et al. 1994)."""

from collections.abc import Sequence
from functools import lru_cache

from lrgd.agents.values import Item

QUERY_TITLES = 5
"""Last titles of the history that are the query."""
KEPT = 4_096
"""Tasks whose scores are kept: several floors and a prior ask the same."""


def bm25(history: Sequence[Item], candidates: Sequence[Item]) -> dict[str, float]:
    """Candidate id -> score, 0 or more; a word's rarity is counted over the candidates."""
    query = " ".join(item.title for item in history[-QUERY_TITLES:])
    scores = _scores(query, tuple(c.title for c in candidates))
    return {c.id: score for c, score in zip(candidates, scores, strict=True)}


@lru_cache(KEPT)
def _scores(query: str, titles: tuple[str, ...]) -> tuple[float, ...]:
    # Imported here, since it brings half of scipy: other commands start without it.
    import bm25s

    index = bm25s.BM25()
    index.index(bm25s.tokenize(titles, stopwords=None, show_progress=False), show_progress=False)
    (tokens,) = bm25s.tokenize(query, stopwords=None, return_ids=False, show_progress=False)
    known = [token for token in tokens if token in index.vocab_dict]
    scores = index.get_scores(known) if known else [0.0] * len(titles)
    return tuple(map(float, scores))
