"""Opens what the graphs need: the endpoint, a chat model, a ranker and the memory."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from langchain_core.language_models import BaseChatModel
from langgraph.cache.base import BaseCache

from agents.endpoint import NO_KEY, Endpoint, EndpointSettings, connect
from agents.heats import ChoiceRanker
from agents.meter import Budget, Meter
from agents.probe import Abilities, RankingMode, choose_mode, chooser_for, probe
from agents.recommender import ListwiseRanker, Ranker, ShuffledRanker
from memory import DemonstrationMemory, load_minilm
from memory.errors import InputError
from serving.pocket import MODEL_DIR
from serving.server import serve_transformers

POCKET = "pocket"
"""Name of the embedded model in run folders and reports."""

LISTWISE_TOKENS = 512
"""Bound on a written ranking: ten long titles."""


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """Which model, and how to use it. By default the embedded pocket model."""

    base_url: str | None = None
    """An OpenAI-compatible server, up to and with /v1; None starts the pocket model."""
    model: str | None = None
    """The model's name on that server."""
    api_key: str = field(default=NO_KEY, repr=False)
    ranking: RankingMode | None = None
    """None: the best that the server can do, see `agents.probe.choose_mode`."""
    shuffles: int = 1
    """Candidate orders that a ranking is averaged over."""
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


@dataclass(frozen=True, slots=True)
class Workbench:
    """Everything that `build_graph` takes, opened."""

    model: BaseChatModel
    ranker: Ranker
    memory: DemonstrationMemory
    meter: Meter
    """What was paid."""
    users_at_once: int
    """Users worth having under way: enough to keep the endpoint's connections busy."""
    mode: RankingMode
    """How `ranker` asks."""
    ranker_for: Callable[[RankingMode], Ranker]
    """A ranker of another mode. Raises EndpointError where the server cannot rank so."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What a model's server can do, and the ranking mode that it is used with."""

    abilities: Abilities
    mode: RankingMode
    reason: str


@asynccontextmanager
async def open_workbench(
    memory: Path,
    choice: ModelChoice | None = None,
    *,
    cache: BaseCache[bytes] | None = None,
    budget: Budget | None = None,
) -> AsyncIterator[Workbench]:
    """Open the model and the memory, for the length of the `async with`.

    Args:
        memory: folder of the demonstrations, made if it is not there.
        choice: the model; None for the pocket model, whose server is started and stopped here.
        cache: answers that need not be paid again; None asks every time.
        budget: what may be spent, for all that is asked of the workbench.

    Raises:
        EndpointError: no server there, or not that model, or it cannot rank in that mode.
    """
    choice = choice or ModelChoice()
    async with serving(choice) as settings:
        survey = await survey_of(settings, choice.ranking)
        embed = await asyncio.to_thread(load_minilm)
        async with connect(settings, cache=cache, budget=budget) as endpoint:
            yield Workbench(
                model=endpoint.chat_model(
                    temperature=choice.temperature, max_tokens=choice.max_tokens
                ),
                ranker=_ranker(endpoint, survey, choice.shuffles),
                memory=DemonstrationMemory.at(memory, embed),
                meter=endpoint.meter,
                users_at_once=2 * settings.concurrency,
                mode=survey.mode,
                ranker_for=lambda mode: _ranker(
                    endpoint, replace(survey, mode=mode), choice.shuffles
                ),
            )


@asynccontextmanager
async def serving(choice: ModelChoice) -> AsyncIterator[EndpointSettings]:
    """Where the model listens; the pocket model's server runs for the length of the `with`."""
    if choice.base_url is None or choice.model is None:
        async with serve_transformers(MODEL_DIR) as settings:
            yield settings
        return
    yield EndpointSettings(
        choice.base_url, choice.model, choice.api_key, concurrency=choice.concurrency
    )


async def settled(choice: ModelChoice) -> ModelChoice:
    """The choice with its ranking mode fixed: a run is of one mode.

    Raises:
        EndpointError: no server there, or not that model.
    """
    if choice.ranking is not None:
        return choice
    if choice.base_url is None:  # known without starting it
        return replace(choice, ranking="decision")
    async with serving(choice) as settings:
        survey = await survey_of(settings)
    return replace(choice, ranking=survey.mode)


async def survey_of(settings: EndpointSettings, wanted: RankingMode | None = None) -> Survey:
    """Ask a server what it can do. What this costs is in no budget: a dozen short requests.

    Raises:
        EndpointError: no server there, or not that model.
    """
    async with connect(settings) as endpoint:
        abilities = await probe(endpoint)
    best, reason = choose_mode(abilities)
    return Survey(abilities, wanted or best, reason)


def _ranker(endpoint: Endpoint, survey: Survey, shuffles: int) -> Ranker:
    ranker: Ranker
    if survey.mode == "listwise":
        # Greedy: a ranking should not change from call to call.
        model = endpoint.chat_model(temperature=0.0, max_tokens=LISTWISE_TOKENS)
        ranker = ListwiseRanker(model, endpoint.name, as_json=survey.abilities.json_schema)
    else:
        ranker = ChoiceRanker(*chooser_for(endpoint, survey.mode, survey.abilities))
    return ShuffledRanker(ranker, shuffles) if shuffles > 1 else ranker
