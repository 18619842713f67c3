"""Options that belong together, read into the one value that they describe.

A command says `@grouped(choice=model_choice)` and takes `choice: ModelChoice`; on the command line
the parameters of `model_choice` stand in its place.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from inspect import Parameter, Signature, signature
from typing import Annotated, Any

import typer

from lrgd.agents.endpoint.budget import Budget
from lrgd.agents.endpoint.client import NO_KEY
from lrgd.agents.guard import Policy
from lrgd.agents.prompts import PromptOrder
from lrgd.graphs.settings import Judge, LoopSettings
from lrgd.options import (
    BaseUrl,
    Cache,
    Key,
    MaxCalls,
    MaxTokens,
    Model,
    NoteTokens,
    Ranking,
    RankingTokens,
    Seed,
    Writer,
    WriterUrl,
)
from lrgd.workbench import ModelChoice

DEFAULTS, MODEL = LoopSettings(), ModelChoice()


def grouped(**groups: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Replace these parameters of a command by the options that make them.

    Args:
        groups: parameter -> a function that makes its value; its parameters become options.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        options = {name: list(signature(make).parameters.values()) for name, make in groups.items()}
        flat: list[Parameter] = []
        for own in signature(command).parameters.values():
            flat += options.get(own.name, [own])

        def expanded(**given: Any) -> Any:
            for name, make in groups.items():
                given[name] = make(
                    **{option.name: given.pop(option.name) for option in options[name]}
                )
            return command(**given)

        expanded.__name__, expanded.__doc__ = command.__name__, command.__doc__
        parameters = [p.replace(kind=Parameter.KEYWORD_ONLY) for p in flat]
        expanded.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
        expanded.__annotations__ = {p.name: p.annotation for p in parameters}
        return expanded

    return decorate


def run_choice(
    base_url: BaseUrl = None,
    model: Model = None,
    api_key: Key = NO_KEY,
    writer: Writer = None,
    writer_url: WriterUrl = None,
) -> ModelChoice:
    """The models of a run; how they are asked is in its folder."""
    return ModelChoice(
        base_url,
        model,
        api_key,
        writer=ModelChoice(writer_url, writer, api_key) if writer or writer_url else None,
    )


def model_choice(
    base_url: BaseUrl = None,
    model: Model = None,
    api_key: Key = NO_KEY,
    ranking: Ranking = None,
    writer: Writer = None,
    writer_url: WriterUrl = None,
    note_tokens: NoteTokens = MODEL.max_tokens,
    ranking_tokens: RankingTokens = MODEL.ranking_tokens,
) -> ModelChoice:
    """The models, how rankings are asked for, and how much may be written."""
    models = run_choice(base_url, model, api_key, writer, writer_url)
    return replace(models, ranking=ranking, max_tokens=note_tokens, ranking_tokens=ranking_tokens)


def server_choice(
    base_url: BaseUrl = None, model: Model = None, api_key: Key = NO_KEY
) -> ModelChoice:
    """The model that ranks."""
    return ModelChoice(base_url, model, api_key)


@dataclass(frozen=True, slots=True)
class Spending:
    """What a command may pay, and whether it keeps what it paid for."""

    budget: Budget
    cache: bool


def spending(
    max_calls: MaxCalls = None, max_tokens: MaxTokens = None, cache: Cache = True
) -> Spending:
    """What a command may pay."""
    return Spending(Budget(max_calls, max_tokens), cache)


def loop_settings(
    paths: Annotated[int, typer.Option(min=1, help="Paths a user.")] = DEFAULTS.paths,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds a path.")] = DEFAULTS.rounds,
    seed: Seed = DEFAULTS.seed,
    perturbation: Annotated[
        bool, typer.Option(help="Inject another path's demonstration on collapse.")
    ] = DEFAULTS.perturbation,
    policy: Annotated[Policy, typer.Option(help="Which other path.")] = DEFAULTS.policy,
    patience: Annotated[
        int, typer.Option(min=1, help="Rounds without gain in Effect_D before collapse.")
    ] = DEFAULTS.patience,
    similarity_threshold: Annotated[
        float,
        typer.Option(min=-1, max=1, help="Cosine from which two demonstrations are copies."),
    ] = DEFAULTS.similarity_threshold,
    judge: Annotated[
        Judge,
        typer.Option(
            help="What chooses a user's demonstration. rank: the target's (Effect_D), ties by its "
            "probability. probability: the target's, ties by its rank."
        ),
    ] = DEFAULTS.judge,
    regularisation: Annotated[
        str, typer.Option(help='Constraint beside the instruction; "" for none.')
    ] = DEFAULTS.regularisation,
    prompt_order: Annotated[
        PromptOrder, typer.Option(help="What comes first in a prompt.")
    ] = DEFAULTS.prompt_order,
) -> LoopSettings:
    """How demonstrations are optimised."""
    return LoopSettings(**locals())
