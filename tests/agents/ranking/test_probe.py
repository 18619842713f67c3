import random
from typing import get_args

import pytest

from lrgd.agents.endpoint.client import EndpointSettings, connect
from lrgd.agents.ranking.choices import Decisions, Logprobs, SystemOne
from lrgd.agents.ranking.frame import ChatFrame
from lrgd.agents.ranking.heats import ChoiceRanker
from lrgd.agents.ranking.likelihood import LikelihoodRanker
from lrgd.agents.ranking.listwise import ListwiseRanker
from lrgd.agents.ranking.modes import Abilities, choose_mode, chooser_for, ranker_for
from lrgd.agents.ranking.probe import probe
from lrgd.agents.ranking.rerank import RerankRanker
from lrgd.agents.values import Item, RankingMode
from lrgd.core.errors import EndpointError, EndpointUnavailable
from tests.loopback import LoopbackModel, Sensible
from tests.scripted import CONTEXT

CHATML = ChatFrame("<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n", "<|im_end|>")
PLAIN = ChatFrame("", "\nAnswer:", "\n", lead=" ")


async def abilities_of(server_can: Sensible) -> Abilities:
    with LoopbackModel(server_can) as server:
        async with connect(EndpointSettings(server.url, "m")) as endpoint:
            return await probe(endpoint)


@pytest.mark.parametrize(
    ("server", "found", "mode"),
    [
        (Sensible(options=255), Abilities(systemone=255), "decision"),
        (Sensible(options=70, schema=True), Abilities(systemone=64, json_schema=True), "decision"),
        (
            Sensible(options=26, top=64, uncased=False),
            Abilities(systemone=26, top_logprobs=64, letters=52, frame=CHATML),
            "logprobs",
        ),
        (
            Sensible(options=26, top=64, uncased=True),
            Abilities(systemone=26, top_logprobs=64, letters=26, frame=CHATML),
            "decision",
        ),
        (
            Sensible(options=0, decisions=True, top=20),
            Abilities(decisions=255, top_logprobs=20, letters=52),
            "decision",
        ),
        (Sensible(options=0, top=20), Abilities(top_logprobs=20, letters=52), "logprobs"),
        (
            Sensible(options=0, uncased=False, echo_tokens=0),
            Abilities(echo=True, frame=CHATML),
            "likelihood",
        ),
        (
            Sensible(options=0, uncased=False, echo_tokens=1, template=False),
            Abilities(echo=True, echo_tokens=1, frame=PLAIN),
            "likelihood",
        ),
        (Sensible(options=0, echo_tokens=0), Abilities(), "listwise"),
        (
            Sensible(options=255, reranks=True),
            Abilities(systemone=255, rerank=True, rerank_shares=True),
            "rerank",
        ),
        (Sensible(options=0), Abilities(), "listwise"),
    ],
)
async def test_what_a_server_can_do_is_found_by_asking(
    server: Sensible, found: Abilities, mode: str
) -> None:
    assert await abilities_of(server) == found
    assert choose_mode(found)[0] == mode


async def test_a_server_that_is_not_there_is_an_error() -> None:
    async with connect(EndpointSettings("http://127.0.0.1:9/v1", "m", max_retries=0)) as endpoint:
        with pytest.raises(EndpointUnavailable):
            await probe(endpoint)


async def test_a_mode_that_the_server_lacks_is_refused_with_one_that_it_has() -> None:
    async with connect(EndpointSettings("http://127.0.0.1:9/v1", "m")) as endpoint:
        can = Abilities(systemone=26, decisions=255, top_logprobs=20, letters=26)
        assert chooser_for(endpoint, "decision", can) == (Decisions(endpoint), 255)
        assert chooser_for(endpoint, "logprobs", can) == (Logprobs(endpoint, 20), 20)
        only = Abilities(systemone=26)
        assert chooser_for(endpoint, "decision", only) == (SystemOne(endpoint), 26)
        with pytest.raises(EndpointError, match="cannot rank by logprobs: try --ranking decision"):
            chooser_for(endpoint, "logprobs", only)
        with pytest.raises(EndpointError, match="try --ranking listwise"):
            chooser_for(endpoint, "decision", Abilities())


async def test_every_mode_has_its_ranker_where_the_server_can_do_it() -> None:
    kinds: dict[RankingMode, type] = {
        "decision": ChoiceRanker,
        "logprobs": ChoiceRanker,
        "likelihood": LikelihoodRanker,
        "rerank": RerankRanker,
        "listwise": ListwiseRanker,
    }
    can = Abilities(
        systemone=26,
        top_logprobs=20,
        letters=26,
        echo=True,
        rerank=True,
        rerank_shares=True,
        frame=PLAIN,
    )
    async with connect(EndpointSettings("http://127.0.0.1:9/v1", "m")) as endpoint:
        for mode, kind in kinds.items():
            assert type(ranker_for(endpoint, mode, can)) is kind
        assert type(ranker_for(endpoint, "listwise", Abilities())) is ListwiseRanker
        for mode in ("likelihood", "rerank"):
            with pytest.raises(EndpointError, match=f"cannot rank by {mode}: try --ranking listw"):
                ranker_for(endpoint, mode, Abilities(frame=PLAIN))


@pytest.mark.parametrize("mode", get_args(RankingMode))
async def test_any_mode_ranks_any_titles_as_a_permutation(mode: RankingMode) -> None:
    able = Sensible(26, top=20, schema=True, uncased=False, echo_tokens=0, reranks=True)
    rng = random.Random(0)
    with LoopbackModel(able) as server:
        async with connect(EndpointSettings(server.url, "m")) as endpoint:
            ranker = ranker_for(endpoint, mode, await probe(endpoint))
            for count in (2, 26, 60):
                titles = ["".join(rng.choices("ab \"'<|>é\n", k=3)) for _ in range(count)]
                candidates = [Item(f"i{n}", title) for n, title in enumerate(titles)]
                ranking = await ranker.rank(CONTEXT, candidates)
                assert sorted(ranking.order) == sorted(c.id for c in candidates)
