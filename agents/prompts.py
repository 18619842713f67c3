"""Every prompt of the project, as functions from values to text.

Order of the parts: what is shared comes first, so that a server's prefix cache can serve it: the
instruction X_T with the regularisation D_reg (all users), the history (all calls for a user), then
the demonstrations X_D with the perturbation D_per, then the candidates (LRGD, arXiv 2504.04386,
section 3). `demonstration_first` puts X_D before all else, for the ablation.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_lowercase, ascii_uppercase
from typing import Literal

from lrgd.agents.values import Item, RankingTask

PromptOrder = Literal["instruction_first", "demonstration_first"]

RANKING_INSTRUCTION = "Predict what a shopper buys next."
RANKING_QUESTION = "Which of these items does the shopper buy next?"
GENERATION_INSTRUCTION = (
    "Write a short note on what a shopper looks for, so that somebody who reads only the note "
    "and a list of items can tell what the shopper buys next."
)
GENERATION_REQUEST = (
    "What will this shopper look for next? Answer with a new note: one short sentence that names "
    "kinds of products, brands and themes."
)
REGULARISATION = "Rely only on what is given here."
LETTER_REQUEST = "Answer with the letter of one option only."
TITLE_QUESTION = "Which item does the shopper buy next? Answer with its title."
RERANK_CLOSING = "The shopper buys next:"
LIST_REQUEST = "Rank the items that the shopper most likely buys next, best first."
LINES_REQUEST = "Answer with {} titles only, exactly as given, one a line, numbered from 1."
JSON_REQUEST = 'Answer with JSON only: {{"ranking": [{} titles, exactly as given]}}.'
LETTERS = ascii_uppercase + ascii_lowercase
"""Labels of options: single tokens in every byte-level or SentencePiece vocabulary."""

_CONTROL = re.compile(r"<(\|?/?[A-Za-z_][^<>\s]{0,40})>|\[(/?INST)\]")


@dataclass(frozen=True, slots=True)
class Attempt:
    """A demonstration that was tried, and the rank that it gave to the item really chosen."""

    text: str
    rank: int
    candidates: int


@dataclass(frozen=True, slots=True)
class RankingContext:
    """All that the recommender reads before the question and the candidates."""

    text: str
    """Instruction, profile, history and demonstration. The target is not in it."""
    content_free: str
    """The same prompt with nothing about the shopper: no history, no profile, no demonstration.
    What the model says here it says of anybody."""
    without_note: str = ""
    """The same prompt without the demonstration; empty where there is none."""
    note_alone: str = ""
    """The same prompt with the demonstration only, no history; empty where there is none."""


def plain(text: str) -> str:
    """Item text as data: whitespace folded, chat templates' control tokens made harmless."""
    return _CONTROL.sub(lambda m: f"({m[1] or m[2]})", " ".join(text.split()))


def ordinal(n: int) -> str:
    """1 -> "1st", 12 -> "12th", 22 -> "22nd"."""
    suffix = "th" if n % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{suffix}"


def ranking_context(
    task: RankingTask,
    demonstration: str | None,
    *,
    regularisation: str = REGULARISATION,
    order: PromptOrder = "instruction_first",
) -> RankingContext:
    """What the recommender reads about a task. No demonstration is the zero-shot prompt."""
    note = f"Note on the shopper: {plain(demonstration)}" if demonstration else ""
    instruction = _instruction(RANKING_INSTRUCTION, regularisation)
    return RankingContext(
        text=_ordered(instruction, note, task, order),
        content_free=f"{instruction}\n\n{_history(())}",
        without_note=_ordered(instruction, "", task, order) if note else "",
        note_alone=f"{instruction}\n\n{note}" if note else "",
    )


def generation_messages(
    task: RankingTask,
    *,
    last: Attempt | None = None,
    effective: Sequence[Attempt] = (),
    perturbation: str | None = None,
    regularisation: str = REGULARISATION,
    order: PromptOrder = "instruction_first",
) -> list[dict[str, str]]:
    """The generator's chat: one user message (some model families have no system role).

    Args:
        task: gives history and profile; its candidates and target stay out of the prompt.
        last: the path's previous demonstration.
        effective: earlier demonstrations that worked, best first.
        perturbation: D_per, a demonstration of another path.
        regularisation: D_reg, beside the instruction; "" for none.
        order: whether the demonstrations follow the history or come first of all.
    """
    notes = [f"A note that worked ({_result(a)}): {plain(a.text)}" for a in effective]
    if last is not None:
        notes.append(f"The last note ({_result(last)}): {plain(last.text)}")
    if perturbation:
        notes.append(f"A note from another point of view: {plain(perturbation)}")
    instruction = _instruction(GENERATION_INSTRUCTION, regularisation)
    text = _ordered(instruction, "\n".join(notes), task, order)
    return [{"role": "user", "content": f"{text}\n\n{GENERATION_REQUEST}"}]


def option_names(candidates: Sequence[Item]) -> dict[str, str]:
    """A distinct name for each candidate, name -> item id: its title, numbered where shared."""
    names: dict[str, str] = {}
    for item in candidates:
        title = plain(item.title)
        name, copy = title, 1
        while name in names:
            copy += 1
            name = f"{title} ({copy})"
        names[name] = item.id
    return names


def choice_prompt(state: str, names: Sequence[str]) -> str:
    """The state, then the options behind letters: the text that vLLM's `/v1/systemone` makes of
    a choice question, so that both ways of asking are one prompt.

    Raises ValueError for more names than there are LETTERS.
    """
    if len(names) > len(LETTERS):
        raise ValueError(f"at most {len(LETTERS)} options have letters, got {len(names)}")
    options = "\n".join(f"{letter}: {name}" for letter, name in zip(LETTERS, names, strict=False))
    return f"{state}\n\nQuestion: {RANKING_QUESTION}\n{options}\n{LETTER_REQUEST}"


def title_prompt(state: str) -> str:
    """The state, then a question whose answer is a title: for the likelihood of each."""
    return f"{state}\n\n{TITLE_QUESTION}"


def rerank_query(state: str) -> str:
    """The state as a query whose continuation is the document looked for."""
    return f"{state}\n\n{RERANK_CLOSING}"


def listwise_prompt(state: str, names: Sequence[str], length: int, *, as_json: bool = False) -> str:
    """The state, then the candidates, then how to write down the best `length` of them."""
    options = "\n".join(f"- {name}" for name in names)
    answer = (JSON_REQUEST if as_json else LINES_REQUEST).format(length)
    return f"{state}\n\nItems:\n{options}\n\n{LIST_REQUEST} {answer}"


def _instruction(task: str, regularisation: str) -> str:
    return f"{task} {regularisation}".strip()


def _ordered(instruction: str, notes: str, task: RankingTask, order: PromptOrder) -> str:
    parts = [instruction, _profile(task), _history(task.history)]
    parts.insert(3 if order == "instruction_first" else 0, notes)
    return "\n\n".join(part for part in parts if part)


def _profile(task: RankingTask) -> str:
    return f"About the shopper: {plain(task.profile)}" if task.profile else ""


def _history(history: Sequence[Item]) -> str:
    titles = [f"- {plain(item.title)}" for item in history] or ["N/A"]
    return "\n".join(["Bought so far, oldest first:", *titles])


def _result(attempt: Attempt) -> str:
    return f"the item bought next was ranked {ordinal(attempt.rank)} of {attempt.candidates}"
