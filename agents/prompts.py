"""Every prompt of the project, as functions from values to text.

The pocket model is trained on these very functions, so training and use cannot drift apart.
Order of the parts (LRGD, arXiv 2504.04386, section 3): the instruction X_T with the
regularisation D_reg, the demonstrations X_D with the perturbation D_per, then the history.
`demonstration_first` swaps the first two for the ablation.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from agents.values import Item, RankingTask

PromptOrder = Literal["instruction_first", "demonstration_first"]

RANKING_INSTRUCTION = "Predict what a shopper buys next."
RANKING_QUESTION = "Which of these items does the shopper buy next?"
GENERATION_INSTRUCTION = (
    "Write a short note on what a shopper looks for, so that somebody who reads only the note "
    "and a list of items can tell what the shopper buys next."
)
GENERATION_REQUEST = "Write a new note, one sentence, without titles."
REGULARISATION = "Rely only on what is given here."

_CONTROL = re.compile(r"<(\|?/?[A-Za-z_][^<>\s]{0,40})>|\[(/?INST)\]")


@dataclass(frozen=True, slots=True)
class Attempt:
    """A demonstration that was tried, and the rank that it gave to the item really chosen."""

    text: str
    rank: int
    candidates: int


def plain(text: str) -> str:
    """Item text as data: whitespace folded, chat templates' control tokens made harmless."""
    return _CONTROL.sub(lambda m: f"({m[1] or m[2]})", " ".join(text.split()))


def ordinal(n: int) -> str:
    """1 -> "1st", 12 -> "12th", 22 -> "22nd"."""
    suffix = "th" if n % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{suffix}"


def ranking_state(
    task: RankingTask,
    demonstration: str | None,
    *,
    regularisation: str = REGULARISATION,
    order: PromptOrder = "instruction_first",
) -> str:
    """All that the recommender reads before the question and the candidates.

    `demonstration` None is the zero-shot prompt. The target is not in it.
    """
    note = f"Note on the shopper: {plain(demonstration)}" if demonstration else ""
    return _ordered(_instruction(RANKING_INSTRUCTION, regularisation), note, task, order)


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
        order: which of instruction and demonstrations comes first.
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


def _instruction(task: str, regularisation: str) -> str:
    return f"{task} {regularisation}".strip()


def _ordered(instruction: str, notes: str, task: RankingTask, order: PromptOrder) -> str:
    first = [instruction, notes] if order == "instruction_first" else [notes, instruction]
    return "\n\n".join(part for part in (*first, _profile(task), _history(task.history)) if part)


def _profile(task: RankingTask) -> str:
    return f"About the shopper: {plain(task.profile)}" if task.profile else ""


def _history(history: Sequence[Item]) -> str:
    titles = [f"- {plain(item.title)}" for item in history]
    return "\n".join(["Bought so far, oldest first:", *titles])


def _result(attempt: Attempt) -> str:
    return f"the item bought next was ranked {ordinal(attempt.rank)} of {attempt.candidates}"
