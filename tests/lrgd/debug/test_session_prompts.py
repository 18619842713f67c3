"""What a session shows of a ranking's call is what was sent, in the modes without chat messages."""

from lrgd.agents.endpoint.client import EndpointSettings, connect
from lrgd.agents.ranking.frame import ChatFrame
from lrgd.agents.ranking.likelihood import LikelihoodRanker, Likelihoods
from lrgd.agents.ranking.rerank import RerankRanker
from lrgd.debug.equipment import Equipment
from lrgd.debug.prompts import prompt_view, ranking_messages
from lrgd.debug.state import SessionState
from lrgd.graphs.settings import LoopSettings
from lrgd.memory import DemonstrationMemory
from tests.loopback import LoopbackModel, Sensible
from tests.scripted import CONTEXT, ScriptedChat, task

SERVER = Sensible(uncased=False, echo_tokens=0, reranks=True)
FRAME = ChatFrame("<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n", "<|im_end|>")
SILENT = ScriptedChat(replies=[])
TITLES = [c.title for c in task().candidates]


def settings(server: LoopbackModel) -> EndpointSettings:
    return EndpointSettings(server.url, "m")


async def test_of_a_likelihood_every_title_is_shown_in_its_frame() -> None:
    with LoopbackModel(SERVER) as server:
        async with connect(settings(server)) as endpoint:
            ranker = LikelihoodRanker(Likelihoods(endpoint, FRAME))
            await ranker.rank(CONTEXT, task().candidates)
            shown = ranking_messages(ranker, CONTEXT, task().candidates)
    sent = [b["prompt"] for path, b, _ in server.requests if path == "/v1/completions"]
    texts = {"".join(map(chr, tokens)) for prompts in sent for tokens in prompts}
    answers = [text.rpartition("<|im_start|>assistant\n")[2] for _, text in shown]
    assert answers == [f"{title}<|im_end|>" for title in TITLES]
    assert {text for _, text in shown} == {text for text in texts if "STATE" in text}


async def test_of_a_reranker_the_query_and_the_documents_are_shown() -> None:
    with LoopbackModel(SERVER) as server:
        async with connect(settings(server)) as endpoint:
            ranker = RerankRanker(endpoint)
            await ranker.rank(CONTEXT, task().candidates)
            ((_, shown),) = ranking_messages(ranker, CONTEXT, task().candidates)
    sent = server.requests[0][1]
    listed = "\n".join(f"- {title}" for title in sent["documents"])
    assert shown == f"{sent['query']}\n\nItems:\n{listed}"


async def test_the_parts_are_named_behind_a_templates_header(memory: DemonstrationMemory) -> None:
    async with connect(EndpointSettings("http://127.0.0.1:9/v1", "m")) as endpoint:
        rankers = [LikelihoodRanker(Likelihoods(endpoint, FRAME)), RerankRanker(endpoint)]
        views = [
            prompt_view(
                Equipment(ScriptedChat(replies=[]), r, memory), state(), "recommender", None
            )
            for r in rankers
        ]
    likelihood, rerank = ([part.name for part in view.parts] for view in views)
    assert likelihood == ["instruction", "history", "question"]
    assert rerank == ["instruction", "history", "closing words", "candidates"]


def state() -> SessionState:
    return {
        "task": task(),
        "settings": LoopSettings().model_dump(),
        "choices": {"mode": "decision", "shuffles": 1},
    }
