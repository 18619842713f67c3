"""Opens what the graphs need: the endpoint, a chat model, a ranker and the memory."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from langchain_core.language_models import BaseChatModel
from langgraph.cache.base import BaseCache

from lrgd.agents.endpoint.address import is_versioned
from lrgd.agents.endpoint.budget import Budget
from lrgd.agents.endpoint.client import (
    NO_KEY,
    Endpoint,
    EndpointSettings,
    connect,
    translated_errors,
)
from lrgd.agents.endpoint.dialect import Dialect
from lrgd.agents.endpoint.meter import Meter
from lrgd.agents.generator import NOTE_TOKENS
from lrgd.agents.ranking.modes import (
    LISTWISE_TOKENS,
    Abilities,
    choose_mode,
    ranker_for,
    thinking_room,
)
from lrgd.agents.ranking.probe import probe
from lrgd.agents.recommender import Ranker, ShuffledRanker
from lrgd.agents.values import RankingMode
from lrgd.core.errors import EndpointError
from lrgd.memory import DemonstrationMemory, Embed, load_minilm
from lrgd.model_progress import fetching
from lrgd.serving.embedded.heads import load_heads
from lrgd.serving.models import DEFAULT, catalogue, folder_of, name_of
from lrgd.serving.models.fetch import WEIGHTS, hash_of
from lrgd.serving.server import serve_embedded


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """Which model, and how to use it. By default the embedded one of the catalogue.

    Example:
        >>> import lrgd
        >>> lrgd.ModelChoice().name
        'smollm2-135m'
        >>> lrgd.ModelChoice("http://127.0.0.1:8000/v1", "Qwen/Qwen3-4B", ranking="decision").name
        'Qwen/Qwen3-4B'
    """

    base_url: str | None = field(default=None, repr=False)
    """An OpenAI-compatible server, up to and with /v1; None starts the embedded one."""
    model: str | None = None
    """The model's name on that server; without a server a name of the catalogue, a folder, or a
    name on the model hub. None: the server's only model, or the catalogue's default."""
    api_key: str = field(default=NO_KEY, repr=False)
    ranking: RankingMode | None = None
    """None: what suits the model, see `survey_of`."""
    shuffles: int = 1
    """Candidate orders that a ranking is averaged over."""
    temperature: float = 0.8
    max_tokens: int = NOTE_TOKENS
    """Bound on one demonstration."""
    ranking_tokens: int = LISTWISE_TOKENS
    """Bound on one written ranking."""
    concurrency: int = 8
    """Requests under way at once."""
    writer: "ModelChoice | None" = None
    """Another model that writes the demonstrations, see `--writer`; None: this one writes them."""

    @property
    def writer_name(self) -> str:
        """Name of the model that writes."""
        return self.writer.name if self.writer else self.name

    @property
    def name(self) -> str:
        """As run folders and reports have it."""
        return name_of(self.model or DEFAULT) if self.base_url is None else self.model or ""


@dataclass(frozen=True, slots=True)
class Workbench:
    """Everything that `build_graph` takes, opened.

    Example:
        >>> import asyncio, lrgd
        >>> from pathlib import Path
        >>> async def mode():
        ...     choice = lrgd.ModelChoice("http://127.0.0.1:8000/v1", ranking="listwise")
        ...     async with lrgd.open_workbench(Path("runs/bench"), choice) as bench:
        ...         return bench.mode, type(bench.ranker).__name__
        >>> asyncio.run(mode())
        ('listwise', 'ListwiseRanker')
    """

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
    embed: Embed | None = None,
) -> AsyncIterator[Workbench]:
    """Open the model and the memory, for the length of the `async with`.

    Args:
        memory: folder of the demonstrations, made if it is not there.
        choice: the model; None for the default one. An embedded server is started and stopped
            here.
        cache: answers that need not be paid again; None asks every time.
        budget: what may be spent, for all that is asked of the workbench.
        embed: texts -> unit rows, for the guard and the memory; None for MiniLM.

    Raises:
        InputError: no model server is named, or no `embed` is given, and the extra `local`, which
            brings both, is not installed.
        EndpointError: no server there, or not that model, or it cannot rank in that mode.

    Example:
        >>> import asyncio, lrgd
        >>> from pathlib import Path
        >>> async def calls():
        ...     choice = lrgd.ModelChoice("http://127.0.0.1:8000/v1")
        ...     async with lrgd.open_workbench(Path("runs/bench"), choice) as bench:
        ...         await bench.model.ainvoke("Who buys kites?")
        ...         return bench.meter.calls
        >>> asyncio.run(calls())
        1
    """
    choice = choice or ModelChoice()
    async with AsyncExitStack() as opened:
        survey, settings = await opened.enter_async_context(_surveyed(choice))
        writes, writing = survey, settings
        if choice.writer:
            writes, writing = await opened.enter_async_context(_surveyed(choice.writer))
        embed = await asyncio.to_thread(load_minilm) if embed is None else embed
        endpoint = await opened.enter_async_context(connect(settings, cache=cache, budget=budget))
        # One meter for both: one budget, and one cache, whose keys hold the model's name.
        writer = Endpoint(writing, endpoint.meter)
        yield Workbench(
            model=writer.chat_model(
                temperature=choice.temperature,
                max_tokens=choice.max_tokens + thinking_room(writes.abilities),
            ),
            ranker=_ranker(endpoint, survey, survey.mode, choice),
            memory=DemonstrationMemory.at(memory, embed),
            meter=endpoint.meter,
            users_at_once=2 * settings.concurrency,
            mode=survey.mode,
            ranker_for=lambda mode: _ranker(endpoint, survey, mode, choice),
        )


@asynccontextmanager
async def _surveyed(choice: ModelChoice) -> AsyncIterator[tuple[Survey, EndpointSettings]]:
    """What a model's server can do, and where it listens, as it wants to be asked."""
    if choice.base_url is None:
        choice = await settled(choice)
    async with serving(choice) as settings:
        survey = await survey_of(settings, choice.ranking)
        yield survey, survey.abilities.known(settings)


@asynccontextmanager
async def serving(choice: ModelChoice) -> AsyncIterator[EndpointSettings]:
    """Where the model listens; an embedded server runs for the length of the `with`.

    Raises:
        EndpointError: the server does not start, or has several models and none is named.
        LrgdError: no such model, or it can not be fetched.
    """
    if choice.base_url is None:
        folder = await asyncio.to_thread(folder_of, choice.model or DEFAULT, report=fetching)
        async with serve_embedded(folder, choice.name) as settings:
            yield replace(settings, concurrency=choice.concurrency)
        return
    settings = EndpointSettings(
        choice.base_url, choice.model or "", choice.api_key, concurrency=choice.concurrency
    )
    yield settings if choice.model else replace(settings, model=await _only_model(settings))


async def settled(choice: ModelChoice) -> ModelChoice:
    """The choice with its model and its ranking mode fixed: a run is of one of each.

    Raises:
        EndpointError: no server there, or not that model.
        LrgdError: no such model, or it can not be fetched.
    """
    if choice.writer:
        choice = replace(choice, writer=await settled(choice.writer))
    if choice.base_url is None:  # known without starting it
        folder = await asyncio.to_thread(folder_of, choice.model or DEFAULT, report=fetching)
        return replace(choice, ranking=choice.ranking or _embedded_mode(folder, choice.name))
    if choice.model and choice.ranking:
        return choice
    async with serving(choice) as settings:
        survey = await survey_of(settings, choice.ranking)
    return replace(choice, model=settings.model, ranking=survey.mode)


async def survey_of(settings: EndpointSettings, wanted: RankingMode | None = None) -> Survey:
    """Ask a server what it can do. What this costs is in no budget: a dozen short requests.

    Raises:
        EndpointError: no server there, or not that model.
    """
    async with connect(settings) as endpoint:
        abilities = await probe(endpoint)
    best, reason = choose_mode(abilities)
    return Survey(abilities, wanted or best, reason)


def weights_hash(choice: ModelChoice) -> str | None:
    """SHA-256 of an embedded model's weights; None where a server has them, or in several files."""
    if choice.base_url is not None:
        return None
    file = folder_of(choice.model or DEFAULT) / WEIGHTS
    return hash_of(file) if file.is_file() else None


async def _only_model(settings: EndpointSettings) -> str:
    """The name of the server's only model. Raises EndpointError where it has none or several."""
    try:
        names = await _models(settings)
    except EndpointError:
        if is_versioned(settings.base_url):
            raise
        names = await _models(replace(settings, dialect=Dialect(v1=True)))
    if len(names) != 1:
        some = ", ".join(names[:5]) or "none"
        raise EndpointError(f"{settings.url} has {len(names)} models ({some}): name one, --model")
    return names[0]


async def _models(settings: EndpointSettings) -> list[str]:
    async with connect(settings) as endpoint:
        with translated_errors(settings.url):
            return [model.id async for model in endpoint.client.models.list()]


def _embedded_mode(folder: Path, name: str) -> RankingMode:
    """What the catalogue says; small models read better than they answer: letters are at chance."""
    if name in catalogue():
        return catalogue()[name].default_ranking
    return "rerank" if load_heads(folder, name) else "likelihood"


def _ranker(endpoint: Endpoint, survey: Survey, mode: RankingMode, choice: ModelChoice) -> Ranker:
    ranker = ranker_for(endpoint, mode, survey.abilities, choice.ranking_tokens)
    return ShuffledRanker(ranker, choice.shuffles) if choice.shuffles > 1 else ranker
