"""Whatever a model writes: a permutation of the candidates, or a failure told in one line.

`make campaign` has 10,000 outputs; the default tests a few of them.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import count
from math import isfinite
from random import Random
from typing import Any

import pytest

from lrgd.agents.endpoint.client import Endpoint, EndpointSettings, connect
from lrgd.agents.prompts import RankingContext, option_names
from lrgd.agents.ranking.choices import Decisions, Logprobs, SystemOne
from lrgd.agents.ranking.frame import ChatFrame
from lrgd.agents.ranking.heats import ChoiceRanker
from lrgd.agents.ranking.likelihood import LikelihoodRanker, Likelihoods
from lrgd.agents.ranking.listwise import ListwiseRanker
from lrgd.agents.ranking.parser import LINES_A_CANDIDATE, MAX_CHARS, parse_list
from lrgd.agents.ranking.rerank import RerankRanker
from lrgd.agents.recommender import Ranker
from lrgd.agents.values import Ranking
from lrgd.core.errors import EndpointError, RankingFailed
from tests.campaign import hostile
from tests.campaign.hostile import ITEMS
from tests.loopback import Answer, LoopbackModel

OUTPUTS = 10_000
SHORT = 480
CONTEXT = RankingContext("Bought: kites.", "Bought: N/A", "Bought: kites.", "Likes kites.")
IDS = sorted(item.id for item in ITEMS)
ASKED = 10
LIST_ENTRIES = len(ITEMS) * LINES_A_CANDIDATE


class Hostile:
    """Answers every question by an output that is drawn anew; tokenizers are left alone."""

    def __init__(self) -> None:
        self._rng = Random()
        self.outputs = 0

    def seed(self, seed: int) -> None:
        """What is drawn from here on depends on it alone."""
        self._rng.seed(seed)

    def __call__(self, path: str, asked: dict[str, Any]) -> Answer:
        if path == "/tokenize":
            return 200, {"tokens": [ord(c) % 50_000 for c in asked["prompt"]][:40]}, {}
        self.outputs += 1
        return 200, hostile.body(self._rng, self._answer(path, asked)), {}

    def _answer(self, path: str, asked: dict[str, Any]) -> Any:
        rng, names = self._rng, list(option_names(ITEMS))
        if path.endswith("/rerank"):
            return hostile.scored(rng, asked["documents"])
        if path.endswith("/systemone"):
            return hostile.typed(rng, names)
        if path.endswith("/decisions"):
            return hostile.decided(rng, names)
        if not path.endswith("/chat/completions"):
            return hostile.echoed(rng, [len(prompt) for prompt in asked["prompt"]])
        return (hostile.letters if asked.get("logprobs") else hostile.chat)(rng, names)


def list_ranker(endpoint: Endpoint, as_json: bool) -> Ranker:
    model = endpoint.chat_model(temperature=0.0, max_tokens=512)
    return ListwiseRanker(model, endpoint.name, ASKED, as_json)


MODES: dict[str, Callable[[Endpoint], Ranker]] = {
    "listwise": lambda e: list_ranker(e, False),
    "listwise, JSON": lambda e: list_ranker(e, True),
    "logprobs": lambda e: ChoiceRanker(Logprobs(e, 20), 26),
    "logprobs, heats": lambda e: ChoiceRanker(Logprobs(e, 20), 6),
    "decision, systemone": lambda e: ChoiceRanker(SystemOne(e), 255),
    "decision, decisions": lambda e: ChoiceRanker(Decisions(e), 255),
    "likelihood": lambda e: LikelihoodRanker(Likelihoods(e, ChatFrame("", "\n", "\n"), 0)),
    "rerank": RerankRanker,
    "rerank, note apart": lambda e: RerankRanker(e, 0.5),
}


def assert_valid(mode: str, ranking: Ranking) -> None:
    assert sorted(ranking.order) == IDS
    audit, used = ranking.audit, ranking.usage
    assert min(audit.named, audit.duplicates, audit.out_of_set, audit.missing, *used.counts) >= 0
    assert audit.named <= len(ITEMS)
    assert not audit.failed
    assert set(ranking.probabilities) <= set(IDS)
    assert all(isfinite(p) and 0 <= p <= 1.02 for p in ranking.probabilities.values())
    if mode.startswith("listwise"):
        assert_list(ranking)
        return
    assert audit.named + audit.missing == len(ITEMS)
    assert audit.share is None or 0 <= audit.share <= 1.05 * len(ITEMS)
    # Candidates' order with nothing behind it is no ranking.
    assert not ranking.probabilities or any(ranking.probabilities.values())


def assert_list(ranking: Ranking) -> None:
    audit = ranking.audit
    assert ranking.strict is not None
    assert len(ranking.strict) == audit.named + audit.duplicates + audit.out_of_set
    assert len(ranking.strict) <= LIST_ENTRIES
    assert {item for item in ranking.strict if item} <= set(ranking.order[: audit.named])
    assert audit.missing == max(0, ASKED - audit.named)


def assert_one_line(error: EndpointError) -> None:
    told = str(error)
    assert len(told.splitlines()) == 1, repr(told)
    assert len(told) < 1_500
    told.encode()


async def fate(mode: str, ranker: Ranker) -> str:
    """How a ranking ends. Errors of another kind pass, and fail the test."""
    try:
        ranking = await ranker.rank(CONTEXT, ITEMS)
    except EndpointError as error:
        assert_one_line(error)
        return f"failed: {error.kind}" if isinstance(error, RankingFailed) else "no answer"
    assert_valid(mode, ranking)
    named = ranking.audit.named
    return "whole" if named == len(ITEMS) else "named some" if named else "named none"


async def fates(outputs: int) -> Counter[tuple[str, str]]:
    """Mode and fate of so many outputs, or a few more: a ranking may ask for several."""
    seeds, seen = count(), Counter[tuple[str, str]]()
    with LoopbackModel(model := Hostile()) as server:
        settings = EndpointSettings(server.url, "m", max_retries=0)
        async with connect(settings) as endpoint:
            while model.outputs < outputs:
                model.seed(seed := next(seeds))
                mode = list(MODES)[seed % len(MODES)]
                try:
                    seen[mode, await fate(mode, MODES[mode](endpoint))] += 1
                except Exception as error:
                    raise AssertionError(f"seed {seed}, {mode}: {error!r}") from error
    return seen


def told(seen: Counter[tuple[str, str]]) -> str:
    """A table: a row a mode, a column a fate."""
    columns = sorted({fate for _, fate in seen})
    rows = [["mode", *columns], ["---"] * (len(columns) + 1)]
    rows += [[mode, *(str(seen[mode, fate]) for fate in columns)] for mode in MODES]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def told_letters(tokens: Sequence[tuple[str, float]]) -> Any:
    """A chat completion with these alternatives."""
    told = [{"token": token, "logprob": logprob} for token, logprob in tokens]
    message = {"role": "assistant", "content": "A"}
    return {"choices": [{"message": message, "logprobs": {"content": [{"top_logprobs": told}]}}]}


def decided(probabilities: Sequence[Any]) -> Any:
    """An answer of /v1/decisions."""
    return {"answers": [{"type": "choice", "probabilities": probabilities}]}


def echoed_all(logprob: float) -> Any:
    """An answer of /v1/completions: each token of six has this log-probability."""
    return {
        "choices": [
            {"index": n, "logprobs": {"token_logprobs": [None, *[logprob] * 5]}}
            for n in range(len(ITEMS))
        ]
    }


NAMES = list(option_names(ITEMS))
FOUND: list[tuple[str, Any]] = [
    ("listwise", b"[" * 100_000),
    ("rerank", b'{"x": ' * 100_000),
    ("rerank", {"results": [{"index": n, "relevance_score": 10**400} for n in range(len(ITEMS))]}),
    ("logprobs", told_letters([("A", -0.1), (" A", -0.1)])),
    ("logprobs", told_letters([("A", -(10**400))])),
    ("decision, systemone", {"answers": {"1": {"probabilities": dict.fromkeys(NAMES, 0.0)}}}),
    ("decision, systemone", {"answers": "\ud800\n" * 900}),
    ("decision, decisions", decided([{"value": "never asked", "probability": 0.5}])),
    ("decision, decisions", decided([{"value": "Halo", "probability": 0.5}] * 2)),
    ("likelihood", echoed_all(-1e308)),
]
"""Mode, and an answer that once was an error of another kind, or a ranking by nothing."""


@pytest.mark.parametrize(("mode", "answer"), FOUND)
async def test_an_output_that_the_campaign_found_is_told_in_one_line(
    mode: str, answer: Any
) -> None:
    content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()

    def respond(path: str, asked: dict[str, Any]) -> Answer:
        if path == "/tokenize":
            return 200, {"tokens": [1, 2, 3]}, {}
        return 200, content, {}

    with LoopbackModel(respond) as server:
        async with connect(EndpointSettings(server.url, "m", max_retries=0)) as endpoint:
            with pytest.raises(EndpointError) as caught:
                await MODES[mode](endpoint).rank(CONTEXT, ITEMS)
    assert_one_line(caught.value)


@pytest.mark.parametrize("scrap", hostile.LONG)
def test_a_long_answer_takes_no_longer_than_its_length_allows(scrap: str) -> None:
    """Processor seconds, not a clock's: a part that is read in n^2 steps takes 5."""
    text = f"x{scrap * MAX_CHARS}"[: MAX_CHARS - 1] + "y"
    began = time.process_time()
    parse_list(text, ITEMS)
    assert time.process_time() - began < 2


async def test_a_few_hostile_outputs() -> None:
    seen = await fates(SHORT)
    assert {mode for mode, _ in seen} == set(MODES)
    assert len({fate for _, fate in seen}) >= 4, "some are ranked by, some fail"


@pytest.mark.campaign
async def test_ten_thousand_hostile_outputs() -> None:
    seen = await fates(OUTPUTS)
    print(f"\n{told(seen)}\n{sum(seen.values())} rankings of {OUTPUTS} outputs or a few more")
    assert all(seen[mode, "whole"] or seen[mode, "named some"] for mode in MODES)
