"""Opens what the graphs need: the endpoint, a chat model, a ranker and the memory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from langchain_core.language_models import BaseChatModel

from agents.endpoint import NO_KEY, Endpoint, EndpointSettings, connect
from agents.recommender import DecisionRanker, ListwiseRanker, Ranker
from memory import DemonstrationMemory, load_minilm
from memory.errors import InputError
from serving.pocket import MODEL_DIR
from serving.server import serve_transformers

POCKET = "pocket"
"""Name of the embedded model in run folders and reports."""

RankingMode = Literal["decision", "listwise"]

LISTWISE_TOKENS = 2_048
"""Bound on a written ranking: 50 long titles."""


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """Which model, and how to use it. By default the embedded pocket model."""

    base_url: str | None = None
    """An OpenAI-compatible server, up to and with /v1; None starts the pocket model."""
    model: str | None = None
    """The model's name on that server."""
    api_key: str = field(default=NO_KEY, repr=False)
    ranking: RankingMode | None = None
    """None: decision for the pocket model, listwise (which any server can do) elsewhere."""
    temperature: float = 0.8
    max_tokens: int = 128
    """Bound on one demonstration."""
    concurrency: int = 8
    """Requests under way at once; the pocket model answers one at a time."""

    def __post_init__(self) -> None:
        if (self.base_url is None) != (self.model is None):
            raise InputError("--base-url and --model belong together: give both, or neither")

    @property
    def name(self) -> str:
        return self.model or POCKET

    @property
    def mode(self) -> RankingMode:
        return self.ranking or ("listwise" if self.base_url else "decision")


@dataclass(frozen=True, slots=True)
class Workbench:
    """Everything that `build_graph` takes, opened."""

    model: BaseChatModel
    ranker: Ranker
    memory: DemonstrationMemory
    users_at_once: int
    """Users worth having under way: enough to keep the endpoint's connections busy."""


@asynccontextmanager
async def open_workbench(
    memory: Path, choice: ModelChoice | None = None
) -> AsyncIterator[Workbench]:
    """Open the model and the memory, for the length of the `async with`.

    Args:
        memory: folder of the demonstrations, made if it is not there.
        choice: the model; None for the pocket model, whose server is started and stopped here.

    Raises:
        EndpointError: no server there, or not that model.
    """
    choice = choice or ModelChoice()
    async with _endpoint(choice) as endpoint:
        embed = await asyncio.to_thread(load_minilm)
        model = endpoint.chat_model(temperature=choice.temperature, max_tokens=choice.max_tokens)
        yield Workbench(
            model=model,
            ranker=_ranker(endpoint, choice.mode),
            memory=DemonstrationMemory.at(memory, embed),
            users_at_once=2 * endpoint.settings.concurrency,
        )


@asynccontextmanager
async def _endpoint(choice: ModelChoice) -> AsyncIterator[Endpoint]:
    if choice.base_url is None or choice.model is None:
        async with serve_transformers(MODEL_DIR) as settings, connect(settings) as endpoint:
            yield endpoint
        return
    settings = EndpointSettings(
        choice.base_url, choice.model, choice.api_key, concurrency=choice.concurrency
    )
    async with connect(settings) as endpoint:
        await endpoint.check()
        yield endpoint


def _ranker(endpoint: Endpoint, mode: RankingMode) -> Ranker:
    if mode == "decision":
        return DecisionRanker(endpoint)
    # Greedy: a ranking should not change from call to call.
    model = endpoint.chat_model(temperature=0.0, max_tokens=LISTWISE_TOKENS)
    return ListwiseRanker(model, endpoint.name)
