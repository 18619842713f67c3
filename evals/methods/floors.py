"""The floors: what a method must beat. They need no language model, and stand in every table.

* random: what a method must beat to have said anything.
* popularity: what is bought most, whoever asks.
* BM25: words of the last titles in the candidates' titles (Robertson et al. 1994).
* last item, MiniLM cosine: the titles' meaning, in MiniLM's space.
"""

import asyncio

from lrgd.agents.values import Ranking, RankingTask, ranking_from
from lrgd.evals.data.draws import generator, shuffled
from lrgd.evals.methods.base import Method, Resources
from lrgd.evals.runs.folder import UserRecord

QUERY_TITLES = 5
"""Last titles of the history that are BM25's query."""
RECENT_TITLES = 3
"""Last titles whose mean is what MiniLM looks for."""


async def by_chance(resources: Resources, task: RankingTask, record: UserRecord) -> Ranking:
    """The same random order in every run."""
    rng = generator(resources.settings.seed, task.user_id, "random floor")
    order = shuffled(rng, [c.id for c in task.candidates])
    falling = {item_id: 1.0 / place for place, item_id in enumerate(order, start=1)}
    return ranking_from(falling, task.candidates)


async def by_popularity(resources: Resources, task: RankingTask, record: UserRecord) -> Ranking:
    """By the number of interactions; equals in candidate order."""
    scores = {c.id: float(resources.popularity.get(c.id, 0)) for c in task.candidates}
    return ranking_from(scores, task.candidates)


async def by_shared_words(resources: Resources, task: RankingTask, record: UserRecord) -> Ranking:
    """The last five titles as one query; a word's rarity is counted over the candidates."""
    # Imported here, since it brings half of scipy: other commands start without it.
    import bm25s

    index = bm25s.BM25()
    titles = [c.title for c in task.candidates]
    index.index(bm25s.tokenize(titles, stopwords=None, show_progress=False), show_progress=False)
    query = " ".join(item.title for item in task.history[-QUERY_TITLES:])
    (tokens,) = bm25s.tokenize(query, stopwords=None, return_ids=False, show_progress=False)
    known = [token for token in tokens if token in index.vocab_dict]
    scores = index.get_scores(known) if known else [0.0] * len(titles)
    by_id = {c.id: float(x) for c, x in zip(task.candidates, scores, strict=True)}
    return ranking_from(by_id, task.candidates)


async def by_last_title(resources: Resources, task: RankingTask, record: UserRecord) -> Ranking:
    """Cosine of each candidate's title to the last title of the history."""
    return await _by_cosine(resources, task, 1)


async def by_recent_titles(resources: Resources, task: RankingTask, record: UserRecord) -> Ranking:
    """Cosine of each candidate's title to the mean of the last three."""
    return await _by_cosine(resources, task, RECENT_TITLES)


async def _by_cosine(resources: Resources, task: RankingTask, last: int) -> Ranking:
    recent = [item.title for item in task.history[-last:]]
    titles = [c.title for c in task.candidates]
    rows = await asyncio.to_thread(resources.embed, [*titles, *recent])
    cosines = rows[: len(titles)] @ rows[len(titles) :].mean(axis=0)
    scores = {c.id: float(x) for c, x in zip(task.candidates, cosines, strict=True)}
    return ranking_from(scores, task.candidates)


RANDOM = Method("random", "floor", by_chance)
POPULARITY = Method("popularity", "floor", by_popularity)
LAST_ITEM = Method("last item", "floor", by_last_title)
BM25 = Method("BM25", "floor", by_shared_words)
MINILM = Method("MiniLM cosine", "floor", by_recent_titles)
