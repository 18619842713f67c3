"""A floor by words: BM25 of the last titles over the candidates' titles (Robertson et al. 1994)."""

from lrgd.agents.endpoint.client import Usage
from lrgd.agents.values import RankingTask, ranking_from
from lrgd.evals.methods.base import Method, Result, Tools
from lrgd.evals.runs.folder import UserRecord

RECENT_TITLES = 5


async def rank(tools: Tools, task: RankingTask, record: UserRecord) -> Result:
    """The last five titles as one query; a word's rarity is counted over the candidates."""
    # Imported here, since it brings half of scipy: other commands start without it.
    import bm25s

    index = bm25s.BM25()
    titles = [c.title for c in task.candidates]
    index.index(bm25s.tokenize(titles, stopwords=None, show_progress=False), show_progress=False)
    query = " ".join(item.title for item in task.history[-RECENT_TITLES:])
    (words,) = bm25s.tokenize(query, stopwords=None, return_ids=False, show_progress=False)
    known = [word for word in words if word in index.vocab_dict]
    scores = index.get_scores(known) if known else [0.0] * len(titles)
    by_id = {c.id: float(x) for c, x in zip(task.candidates, scores, strict=True)}
    return ranking_from(by_id, task.candidates), Usage()


BM25 = Method("BM25", "floor", rank)
