"""Optimises what the prompts of all users share, before what each user has.

The ranking instruction, D_reg, the generator's request and the label of a note are searched
together by GEPA (reflective mutation with a Pareto pool; Agrawal et al., arXiv 2507.19457): a
candidate is good where, over the validation tasks of many users, one note written with it ranks
what was bought next high. Half of the users give the examples that a mutation is written from, the
other half the score that a candidate is chosen by. Test tasks are not touched.

A search that was stopped begins anew and pays nothing twice: its calls are seeded, and their
answers are in the run's cache.
"""

import asyncio
import hashlib
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from gepa.api import optimize
from gepa.core.adapter import EvaluationBatch
from langchain_core.language_models import BaseChatModel
from pydantic import BaseModel, ConfigDict

from lrgd.agents.generator import Generator, bare, whole_sentences
from lrgd.agents.prompts import sanitized
from lrgd.agents.recommender import CustomRanker, ranking_of
from lrgd.agents.values import Ranking, RankingTask
from lrgd.core.errors import InputError, LrgdError, RankingFailed
from lrgd.graphs.settings import LoopSettings

T = TypeVar("T")

Texts = dict[str, str]
"""Name of a setting -> its text."""

PURPOSES = {
    "instruction": "says what is to be predicted; it opens the prompt that ranks the items",
    "regularisation": "stands beside the instruction and limits what may be relied on",
    "request": "asks for a short note on one shopper, and says what such a note names",
    "note_label": "stands right before the note in the prompt that ranks the items",
}
"""The settings that are searched, and what their texts are for."""
REFLECTION = """A text in a prompt of a recommender {}. It is:
```
<curr_param>
```
What came out with it for some shoppers:
<side_info>
Write a better text for the same place: one or two short sentences that suit every shopper and name
no product. Answer with the text alone."""
LONGEST = 300
"""Characters of a text; what a model writes beyond is cut at a sentence's end."""
EXAMPLES = 3
"""Shoppers that a mutation is written from."""
SHOWN = 5
"""Titles of a history, and titles ranked too high, that an example shows."""
LEAST_USERS = 8


class SharedSearch(BaseModel):
    """What a search found. Kept in the run folder as `shared.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    texts: Texts
    """The best candidate's; the settings' own where none was better."""
    effect: float
    """Its mean Effect_D on the users that chose it: the largest of `tried`, so a lucky one."""
    effect_before: float
    """The same of the settings' own texts."""
    users: int
    """That chose."""
    tried: tuple[Texts, ...]
    """Every candidate of the pool, the settings' own first."""
    calls: int
    """Users that were optimised for and ranked, in all."""
    left_out: tuple[str, ...] = ()
    """Users that a ranking of got no answer: the search is without them."""


class _Unanswered(LrgdError):
    """A user's ranking failed."""

    def __init__(self, user_id: str, reason: str) -> None:
        super().__init__(f"{user_id}: {reason}")
        self.user_id = user_id


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one user's note and ranking came to under a candidate."""

    task: RankingTask
    note: str
    ranking: Ranking
    effect: float


@dataclass(frozen=True, slots=True)
class SharedPrompt:
    """The recommender as GEPA's adapter sees it: texts in, Effect_D of each user out."""

    settings: LoopSettings
    model: BaseChatModel
    ranker: CustomRanker
    loop: asyncio.AbstractEventLoop
    """Where model and ranker live; GEPA itself runs in a thread."""
    failures: list[LrgdError] = field(default_factory=list)
    """What went wrong: GEPA would log it and go on, for ever where nothing is paid any more."""
    propose_new_texts: None = None
    """GEPA's own way to propose is taken."""

    def evaluate(
        self, batch: list[RankingTask], candidate: Texts, capture_traces: bool = False
    ) -> EvaluationBatch[Outcome, float]:
        """One note and one ranking for each task, side by side."""
        settings = self.settings.model_copy(update=candidate)
        outcomes = self._wait(_gathered([self._try(settings, task) for task in batch]))
        scores = [outcome.effect for outcome in outcomes]
        return EvaluationBatch(scores, scores, outcomes if capture_traces else None)

    def make_reflective_dataset(
        self,
        candidate: Texts,
        eval_batch: EvaluationBatch[Outcome, float],
        components_to_update: list[str],
    ) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """Examples with feedback in words: what was ranked too high, never what was right."""
        examples = [example(outcome) for outcome in eval_batch.trajectories or ()]
        return dict.fromkeys(components_to_update, examples)

    def reflect(self, prompt: str | list[dict[str, Any]]) -> str:
        """A new text by the model that writes the notes, cut to what a prompt has room for."""
        answer = self._wait(self.model.ainvoke(prompt, seed=seed_of(str(prompt))))
        written = str(answer.text).replace("```", "").strip()
        text = bare(written) or written  # a label of a note is one itself
        return sanitized(text if len(text) <= LONGEST else whole_sentences(text[:LONGEST]))

    async def _try(self, settings: LoopSettings, task: RankingTask) -> Outcome:
        generator = Generator(self.model, settings.generation_messages)
        draft = await generator.write(task, seed=seed_of(f"{settings.seed} {task.user_id}"))
        note = draft.text if draft.verdict == "usable" else None
        context = settings.ranking_context(task, note)
        try:
            ranking = await ranking_of(self.ranker, context, task)
        except RankingFailed as error:
            raise _Unanswered(task.user_id, str(error)) from error
        return Outcome(task, note or "", ranking, settings.effect(ranking, task))

    def _wait(self, job: Coroutine[Any, Any, T]) -> T:
        try:
            return asyncio.run_coroutine_threadsafe(job, self.loop).result()
        except LrgdError as error:
            self.failures.append(error)
            raise


async def search(
    tasks: Sequence[RankingTask],
    settings: LoopSettings,
    model: BaseChatModel,
    ranker: CustomRanker,
    calls: int,
) -> SharedSearch:
    """Search the texts that all users share.

    A user whose ranking fails under any text is left out, and the search begins anew: no score may
    stand for a failed call, and texts are compared on the same users.

    Args:
        tasks: a validation task of each user.
        settings: the texts to begin with, and all else.
        calls: users to write and rank for, in all.

    Raises:
        InputError: too few users, or fewer calls than users.
        EndpointError, BudgetSpent: a call failed; what was answered is in the run's cache.
    """
    left_out: list[str] = []
    while True:
        answering = [task for task in tasks if task.user_id not in left_out]
        try:
            result = await _search(answering, settings, model, ranker, calls)
        except _Unanswered as error:
            left_out.append(error.user_id)
        else:
            return result.model_copy(update={"left_out": tuple(left_out)})


async def _search(
    tasks: Sequence[RankingTask],
    settings: LoopSettings,
    model: BaseChatModel,
    ranker: CustomRanker,
    calls: int,
) -> SharedSearch:
    """Raises _Unanswered where a ranking failed."""
    half = len(tasks) // 2
    if len(tasks) < LEAST_USERS or calls < 2 * half:
        raise InputError(
            f"--shared needs {LEAST_USERS} users and a call for each of them, got {len(tasks)} "
            f"users and --shared {calls}"
        )
    prompt = SharedPrompt(settings, model, ranker, asyncio.get_running_loop())
    begun = {name: str(getattr(settings, name)) for name in PURPOSES}
    adapter: Any = prompt  # a Protocol's generic arguments, which mypy does not solve
    job = partial(
        optimize,
        begun,
        trainset=list(tasks[:half]),
        valset=list(tasks[half:]),
        adapter=adapter,
        reflection_lm=prompt.reflect,
        reflection_prompt_template={n: REFLECTION.format(w) for n, w in PURPOSES.items()},
        reflection_minibatch_size=EXAMPLES,
        max_metric_calls=calls,
        cache_evaluation=True,
        stop_callbacks=lambda state: bool(prompt.failures),
        logger=_Silent(),
        seed=settings.seed,
    )
    result = await asyncio.to_thread(job)
    if prompt.failures:
        raise prompt.failures[0]
    scores = result.val_aggregate_scores
    best = max(range(len(scores)), key=lambda n: (scores[n], -n))
    return SharedSearch(
        texts=result.candidates[best],
        effect=scores[best],
        effect_before=scores[0],
        users=len(tasks) - half,
        tried=tuple(result.candidates),
        calls=result.total_metric_calls or 0,
    )


def example(outcome: Outcome) -> dict[str, str]:
    """One shopper as a mutation is shown it."""
    task, ranking = outcome.task, outcome.ranking
    titles = {item.id: sanitized(item.title) for item in task.candidates}
    rank = ranking.rank_of(str(task.target_id))
    above = [titles[item] for item in ranking.order[: min(rank - 1, SHOWN)]]
    wrong = f"; wrongly above it: {'; '.join(above)}" if above else ""
    return {
        "Bought": "; ".join(sanitized(item.title) for item in task.history[-SHOWN:]),
        "Note": outcome.note or "none that could be used",
        "Feedback": f"The item bought next was ranked {rank} of {len(titles)}{wrong}.",
    }


def seed_of(text: str) -> int:
    """A sampling seed that depends on a text alone."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1


async def _gathered(jobs: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    return list(await asyncio.gather(*jobs))


class _Silent:
    """GEPA's log goes nowhere: what it found is in the result."""

    def log(self, message: str) -> None:
        pass
