"""Every prompt of the project, made of values.

`PromptSettings` makes what the generator and the recommender read of a task; the functions below
it add the question, in the words of each ranking mode.

Order of the parts: what is shared comes first, so that a server's prefix cache can serve it: the
instruction X_T with the regularisation D_reg (all users), the history (all calls for a user), then
the demonstrations X_D with the perturbation D_per, then the candidates (LRGD, arXiv 2504.04386,
section 3). `demonstration_first` puts X_D before all else, for the ablation.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_lowercase, ascii_uppercase
from typing import Literal, TypedDict

from lrgd.agents.values import Item, RankingTask
from lrgd.core.text import one_line

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
NOTE_LABEL = "Note on the shopper:"
LETTER_REQUEST = "Answer with the letter of one option only."
TITLE_QUESTION = "Which item does the shopper buy next? Answer with its title."
RERANK_CLOSING = "The shopper buys next:"
LIST_REQUEST = "Rank the items that the shopper most likely buys next, best first."
LINES_REQUEST = "Answer with {} titles only, exactly as given, one a line, numbered from 1."
JSON_REQUEST = 'Answer with JSON only: {{"ranking": [{} titles, exactly as given]}}.'
LETTERS = ascii_uppercase + ascii_lowercase
"""Labels of options: single tokens in every byte-level or SentencePiece vocabulary."""

_CONTROL = re.compile(
    # Without brackets, which stand for those of a token in it: doing it twice changes nothing.
    r"<((?:[|\uff5c\[]|/?[A-Za-z_])[^<>()\s]{0,60})>"  # <|im_end|>, </s>, DeepSeek's wide bars
    r"|\[(/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_(?:CALLS|RESULTS|CONTENT)|THINK|ARGS|CALL_ID"
    r"|PREFIX|MIDDLE|SUFFIX|REF|IMG|IMG_BREAK|IMG_END|AUDIO|BEGIN_AUDIO|CONTROL_\d+|gMASK|MASK|SEP|CLS"
    r"|PAD|UNK))\]"  # Mistral's, GLM's, BERT's
)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A demonstration that was tried, and the rank that it gave to the item really chosen."""

    text: str
    rank: int
    candidates: int


class Told(TypedDict, total=False):
    """What a generator is told beside the task."""

    last: Attempt | None
    """The path's previous demonstration."""
    effective: Sequence[Attempt]
    """Earlier demonstrations that worked, best first."""
    perturbation: str | None
    """D_per, a demonstration of another path."""


@dataclass(frozen=True, slots=True)
class RankingContext:
    """All that the recommender reads before the question and the candidates.

    Example:
        >>> import lrgd
        >>> context = lrgd.RankingContext("Films seen: Alien.", content_free="Films seen: none.")
        >>> context.text
        'Films seen: Alien.'
    """

    text: str
    """Instruction, profile, history and demonstration. The target is not in it."""
    content_free: str
    """The same prompt with nothing about the shopper: no history, no profile, no demonstration.
    What the model says here it says of anybody."""
    without_note: str = ""
    """The same prompt without the demonstration; empty where there is none."""
    note_alone: str = ""
    """The same prompt with the demonstration only, no history; empty where there is none."""


@dataclass(frozen=True, slots=True)
class PromptSettings:
    """What an optimisation may change in its prompts."""

    regularisation: str = REGULARISATION
    """D_reg, beside the instruction; "" for none."""
    order: PromptOrder = "instruction_first"
    """Whether the demonstrations follow the history or come first of all."""
    instruction: str = RANKING_INSTRUCTION
    """X_T, what the recommender is to do."""
    request: str = GENERATION_REQUEST
    """What the generator is asked for, and in which form."""
    note_label: str = NOTE_LABEL
    """Stands before the demonstration that the recommender reads."""

    def ranking_context(
        self, task: RankingTask, demonstration: str | None = None
    ) -> RankingContext:
        """What the recommender reads about a task. No demonstration is the zero-shot prompt."""
        note = f"{self.note_label} {sanitized(demonstration)}" if demonstration else ""
        instruction = self._instruction(self.instruction)
        return RankingContext(
            text=self._ordered(instruction, note, task),
            content_free=f"{instruction}\n\n{_history(())}",
            without_note=self._ordered(instruction, "", task) if note else "",
            note_alone=f"{instruction}\n\n{note}" if note else "",
        )

    def generation_messages(self, task: RankingTask, told: Told) -> list[dict[str, str]]:
        """The generator's chat: one user message (some model families have no system role).

        Of the task it shows history and profile; candidates and target stay out of the prompt.
        """
        notes = [
            f"A note that worked ({_result(a)}): {sanitized(a.text)}"
            for a in told.get("effective", ())
        ]
        if last := told.get("last"):
            notes.append(f"The last note ({_result(last)}): {sanitized(last.text)}")
        if perturbation := told.get("perturbation"):
            notes.append(f"A note from another point of view: {sanitized(perturbation)}")
        text = self._ordered(self._instruction(GENERATION_INSTRUCTION), "\n".join(notes), task)
        return [{"role": "user", "content": f"{text}\n\n{self.request}"}]

    def _instruction(self, text: str) -> str:
        return f"{text} {self.regularisation}".strip()

    def _ordered(self, instruction: str, notes: str, task: RankingTask) -> str:
        parts = [instruction, _profile(task), _history(task.history)]
        parts.insert(3 if self.order == "instruction_first" else 0, notes)
        return "\n\n".join(part for part in parts if part)


LRGD_PROMPTS = PromptSettings()
"""Those of an optimisation whose settings say nothing else."""


def sanitized(text: str) -> str:
    """Text from outside as data: one line of what is visible (`one_line`), control tokens of chats
    made harmless."""
    return _CONTROL.sub(lambda m: f"({m[1] or m[2]})", one_line(text))


def ordinal(n: int) -> str:
    """1 -> "1st", 12 -> "12th", 22 -> "22nd"."""
    suffix = "th" if n % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{suffix}"


def option_names(candidates: Sequence[Item]) -> dict[str, str]:
    """A distinct name for each candidate, name -> item id: its title, numbered where shared."""
    names: dict[str, str] = {}
    for item in candidates:
        title = sanitized(item.title)
        name, copy = title, 1
        while name in names:
            copy += 1
            name = f"{title} ({copy})"
        names[name] = item.id
    return names


def choice_prompt(context: str, names: Sequence[str]) -> str:
    """The context, then the options behind letters: the text that vLLM's `/v1/systemone` makes of
    a choice question, so that both ways of asking are one prompt.

    Raises ValueError for more names than there are LETTERS.
    """
    if len(names) > len(LETTERS):
        raise ValueError(f"at most {len(LETTERS)} options have letters, got {len(names)}")
    options = "\n".join(f"{letter}: {name}" for letter, name in zip(LETTERS, names, strict=False))
    return f"{context}\n\nQuestion: {RANKING_QUESTION}\n{options}\n{LETTER_REQUEST}"


def title_prompt(context: str) -> str:
    """The context, then a question whose answer is a title: for the likelihood of each."""
    return f"{context}\n\n{TITLE_QUESTION}"


def rerank_query(context: str) -> str:
    """The context as a query whose continuation is the document looked for."""
    return f"{context}\n\n{RERANK_CLOSING}"


def listwise_prompt(
    context: str, names: Sequence[str], length: int, *, as_json: bool = False
) -> str:
    """The context, then the candidates, then how to write down the best `length` of them."""
    options = "\n".join(f"- {name}" for name in names)
    answer = (JSON_REQUEST if as_json else LINES_REQUEST).format(length)
    return f"{context}\n\nItems:\n{options}\n\n{LIST_REQUEST} {answer}"


def _profile(task: RankingTask) -> str:
    return f"About the shopper: {sanitized(task.profile)}" if task.profile else ""


def _history(history: Sequence[Item]) -> str:
    titles = [f"- {sanitized(item.title)}" for item in history] or ["N/A"]
    return "\n".join(["Bought so far, oldest first:", *titles])


def _result(attempt: Attempt) -> str:
    return f"the item bought next was ranked {ordinal(attempt.rank)} of {attempt.candidates}"
