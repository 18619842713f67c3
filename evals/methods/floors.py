"""Floors from titles and counts: they need neither a language model nor who bought what.

* random: what a method must beat to have said anything.
* popularity: what is bought most, whoever asks.
* BM25: words of the last titles in the candidates' titles.
* last item, MiniLM cosine: the titles' meaning, in MiniLM's space.
"""

import asyncio

from lrgd.agents.values import Ranking, ranking_by
from lrgd.evals.data.draws import generator, shuffled
from lrgd.evals.methods.base import Method, Question, Resources, floor
from lrgd.evals.methods.evidence import log_popularity
from lrgd.evals.methods.words import bm25
from lrgd.evals.runs.folder import UserRecord

RECENT_TITLES = 3
"""Last titles whose mean is what MiniLM looks for."""


def by_chance(resources: Resources, question: Question) -> dict[str, float]:
    """The same random order in every run."""
    rng = generator(resources.settings.seed, question.user_id, "random floor")
    order = shuffled(rng, [c.id for c in question.candidates])
    return {item_id: 1.0 / place for place, item_id in enumerate(order, start=1)}


def by_popularity(resources: Resources, question: Question) -> dict[str, float]:
    """The logarithm of the interactions, which orders as they do."""
    return log_popularity(resources.popularity, question.candidates)


def by_shared_words(resources: Resources, question: Question) -> dict[str, float]:
    """The last five titles as one query."""
    return bm25(question.history, question.candidates)


async def by_last_title(resources: Resources, question: Question, record: UserRecord) -> Ranking:
    """Cosine of each candidate's title to the last title of the history."""
    return await _by_cosine(resources, question, 1)


async def by_recent_titles(resources: Resources, question: Question, record: UserRecord) -> Ranking:
    """Cosine of each candidate's title to the mean of the last three."""
    return await _by_cosine(resources, question, RECENT_TITLES)


async def _by_cosine(resources: Resources, question: Question, last: int) -> Ranking:
    """In candidate order where there is no history."""
    recent = [item.title for item in question.history[-last:]]
    if not recent:
        return ranking_by({}, question.candidates, {})
    titles = [c.title for c in question.candidates]
    rows = await asyncio.to_thread(resources.embed, [*titles, *recent])
    cosines = rows[: len(titles)] @ rows[len(titles) :].mean(axis=0)
    scores = {c.id: float(x) for c, x in zip(question.candidates, cosines, strict=True)}
    return ranking_by(scores, question.candidates, {})


RANDOM = floor("random", by_chance)
POPULARITY = floor("popularity", by_popularity)
BM25 = floor("BM25", by_shared_words)
LAST_ITEM = Method("last item", "floor", by_last_title)
MINILM = Method("MiniLM cosine", "floor", by_recent_titles)
