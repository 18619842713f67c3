"""The exact text of the calls behind a session, and what a prefix cache could share of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lrgd.agents.prompts import (
    GENERATION_INSTRUCTION,
    GENERATION_REQUEST,
    LETTERS,
    RANKING_INSTRUCTION,
    RANKING_QUESTION,
    RERANK_CLOSING,
    TITLE_QUESTION,
    RankingContext,
    choice_prompt,
    listwise_prompt,
    option_names,
    rerank_query,
    sanitized,
    title_prompt,
)
from lrgd.agents.ranking.heats import ChoiceRanker, heats_of
from lrgd.agents.ranking.likelihood import LikelihoodRanker
from lrgd.agents.ranking.listwise import ListwiseRanker
from lrgd.agents.ranking.rerank import RerankRanker
from lrgd.agents.recommender import CustomRanker, ShuffledRanker
from lrgd.agents.values import Item
from lrgd.core.errors import InputError
from lrgd.debug.equipment import CountTokens, Equipment
from lrgd.debug.state import (
    SessionState,
    Turn,
    settings_of,
    split_of,
    tasks_on,
    turn_of,
    turn_state,
)
from lrgd.evals.data.bundle import Split

Call = Literal["recommender", "generator"]
Messages = list[tuple[str, str]]

_BEGINNINGS = {
    GENERATION_INSTRUCTION: "instruction",
    RANKING_INSTRUCTION: "instruction",
    "About the shopper:": "profile",
    "Bought so far": "history",
    "Note on the shopper:": "demonstration",
    "A note that worked": "demonstrations",
    "The last note": "demonstrations",
    "A note from another": "demonstrations",
    "Question:": "question and candidates",
    "Items:": "candidates",
    TITLE_QUESTION: "question",
    RERANK_CLOSING: "closing words",
    GENERATION_REQUEST: "request",
}
"""What a paragraph, or a line behind a chat template's header, begins with -> what it is. Titles
cannot begin one: their whitespace is folded, and they stand behind dashes or letters."""


@dataclass(frozen=True, slots=True)
class PromptPart:
    """A piece of a prompt."""

    name: str
    text: str
    tokens: int | None
    """None where no tokenizer is known."""


@dataclass(frozen=True, slots=True)
class PromptView:
    """The exact text of one call."""

    call: str
    path: int | None
    messages: tuple[tuple[str, str], ...]
    """Role and content; several where a ranking takes several questions."""
    parts: tuple[PromptPart, ...]
    """The first message in parts: instruction, history, demonstration, ..."""
    shared: int
    """How much of its beginning a prefix cache could serve from `shared_with`."""
    total: int
    unit: Literal["tokens", "characters"]
    shared_with: str
    """The call before; empty for the first."""
    split: Split = "validation"
    """Which of the user's tasks it is about."""


def prompt_view(
    equipment: Equipment, state: SessionState, call: Call, path: int | None
) -> PromptView:
    """The latest call of this kind, on a path or for what is in hand; before the first, the
    call that would be made."""
    messages = _messages(equipment, state, call, path)
    before, earlier = _before(equipment, state, call, path)
    first = messages[0][1]
    common = _shared(first, earlier[0][1]) if earlier else ""
    count = equipment.count_tokens or len
    return PromptView(
        call=call,
        path=path,
        messages=tuple(messages),
        parts=tuple(_parts(first, equipment.count_tokens)),
        shared=count(common) if common else 0,
        total=count(first),
        unit="tokens" if equipment.count_tokens else "characters",
        shared_with=before,
        split=split_of(state) if call == "recommender" and path is None else "validation",
    )


def ranking_messages(
    ranker: CustomRanker, context: RankingContext, candidates: Sequence[Item]
) -> Messages:
    """What a ranker asks, one message a question.

    Of heats those of a first round, not the final. Of likelihoods each title as the answer, in
    the model's chat template. Of a reranker its query, then the documents.
    """
    if isinstance(ranker, ShuffledRanker):
        return ranking_messages(ranker.ranker, context, candidates)
    names = list(option_names(candidates))
    if isinstance(ranker, ListwiseRanker):
        length = min(ranker.length, len(names))
        return [("user", listwise_prompt(context.text, names, length, as_json=ranker.as_json))]
    if isinstance(ranker, LikelihoodRanker):
        frame, prompt = ranker.likelihoods.frame, title_prompt(context.text)
        answers = [frame.answer(sanitized(item.title)) for item in candidates]
        return [("text", f"{frame.prompt(prompt)}{answer}") for answer in answers]
    if isinstance(ranker, RerankRanker):
        return [("query", f"{rerank_query(context.text)}\n\nItems:\n{_listed(names)}")]
    limit = ranker.limit if isinstance(ranker, ChoiceRanker) else len(names)
    return [("user", _question(context.text, heat)) for heat in heats_of(names, limit)]


def _question(context: str, names: Sequence[str]) -> str:
    if len(names) <= len(LETTERS):
        return choice_prompt(context, names)
    return f"{context}\n\nQuestion: {RANKING_QUESTION}\n{_listed(names)}"


def _listed(names: Sequence[str]) -> str:
    return "\n".join(f"- {name}" for name in names)


def _messages(equipment: Equipment, state: SessionState, call: Call, path: int | None) -> Messages:
    if call == "recommender" and path is None:
        hand = state.get("in_hand")
        return _ranking(equipment, state, hand.text if hand else "", split_of(state))
    turn = turn_shown(state, path)
    if call == "generator":
        return _generation(equipment, state, turn)
    return _ranking(equipment, state, turn.draft.text if turn.draft else "")


def turn_shown(state: SessionState, path: int | None) -> Turn:
    """A path's latest turn, or the one that it would begin; None: of the path that was latest.

    Raises:
        InputError: no such path.
    """
    known = state.get("turns", {})
    if path is None:
        path = state.get("latest") or 0
    if not 0 <= path < settings_of(state).paths:
        raise InputError(f"no path {path}: this session has 0 to {settings_of(state).paths - 1}")
    if path not in known and "remembered" not in state:
        return turn_of({**state, "remembered": []}, path)
    return known.get(path) or turn_of(state, path)


def _generation(equipment: Equipment, state: SessionState, turn: Turn) -> Messages:
    nodes, s = equipment.path_nodes(state), settings_of(state)
    asked = turn_state({"remembered": [], **state}, turn)
    messages = s.generation_messages(nodes.task_shown(asked), nodes.told(asked))
    return [(m["role"], m["content"]) for m in messages]


def _ranking(
    equipment: Equipment, state: SessionState, text: str, split: Split = "validation"
) -> Messages:
    task = tasks_on(state, split)[0]
    context = settings_of(state).ranking_context(task, text)
    return ranking_messages(equipment.ranker_of(state["choices"]), context, task.candidates)


def _before(
    equipment: Equipment, state: SessionState, call: Call, path: int | None
) -> tuple[str, Messages]:
    """The call of the same kind before this one, in words, and what it asked."""
    turns = state.get("turns", {})
    here = turns.get(path) if path is not None else None
    key = (here.round, path) if here else None

    def order(turn: Turn) -> tuple[int, int]:
        return turn.round, turn.path.index

    earlier = [t for t in turns.values() if t is not here and (key is None or order(t) < key)]
    if not earlier:
        return "", []
    last = max(earlier, key=order)
    words = f"{call} of path {last.path.index}, round {last.round}"
    return words, _messages(equipment, state, call, last.path.index)


def _parts(text: str, count: CountTokens | None) -> list[PromptPart]:
    parts: list[PromptPart] = []
    for paragraph in text.split("\n\n"):
        lines = f"\n{paragraph}"
        name = next((n for start, n in _BEGINNINGS.items() if f"\n{start}" in lines), "text")
        parts.append(PromptPart(name, paragraph, count(paragraph) if count else None))
    return parts


def _shared(a: str, b: str) -> str:
    """The beginning that two texts have in common."""
    length = next((n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), None)
    return a[: min(len(a), len(b)) if length is None else length]
