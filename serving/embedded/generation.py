"""Batched generation: texts under way advance together, a token each a step.

Each has its own seed, and its bytes do not depend on who else is under way: a step's row of tokens
is always SLOTS long, and every text attends to itself alone.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import torch
from torch import Tensor

from lrgd.serving.embedded.attention import Growing, NextTokens
from lrgd.serving.embedded.prefixes import Prefixes
from lrgd.serving.embedded.scoring import likeliest
from lrgd.serving.embedded.weights import Weights

SLOTS = 8
"""Texts under way at once."""
HALF_A_CHARACTER = "\ufffd"
"""What a tokenizer shows of a character whose bytes are not all there."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is drawn, and when to end."""

    max_tokens: int
    temperature: float = 1.0
    """0 takes the likeliest token."""
    top_p: float = 1.0
    seed: int = 0
    stop: tuple[str, ...] = ()
    """Texts that end an answer, and are not part of it."""
    top_logprobs: int | None = None
    """Alternatives to tell for each token; None tells no log-probability."""


@dataclass(frozen=True, slots=True)
class Step:
    """One token of an answer."""

    token: int
    logprob: float
    alternatives: list[tuple[int, float]]


@dataclass
class Writing:
    """A text under way."""

    prompt: Sequence[int]
    sampling: Sampling
    tell: Callable[["Writing"], None] = lambda writing: None
    """Called after each token, by the engine's thread."""
    done: "Future[Writing]" = field(default_factory=Future)
    """The text itself when it is finished, or why it can not be."""
    steps: list[Step] = field(default_factory=list)
    text: str = ""
    """What is written so far, as far as its characters are whole."""
    finished: str | None = None
    """Why it ended: "stop", or "length"; None while it is under way."""


class Decoder:
    """Advances texts, up to SLOTS at once; those that wait get a free slot in turn."""

    def __init__(self, prefixes: Prefixes) -> None:
        self._prefixes = prefixes
        self._waiting: list[Writing] = []
        self._active: list[tuple[Writing, Growing, torch.Generator]] = []

    def __bool__(self) -> bool:
        return bool(self._waiting or self._active)

    def add(self, writing: Writing) -> None:
        self._waiting.append(writing)

    def fail(self, error: BaseException) -> None:
        """Give up all texts under way."""
        for writing in (*(writing for writing, _, _ in self._active), *self._waiting):
            if writing.done.set_running_or_notify_cancel():
                writing.done.set_exception(error)
        self._active, self._waiting = [], []

    @torch.inference_mode()
    def step(self) -> None:
        """Admit who waits, then a token for each text under way that somebody still wants.

        Raises:
            WeightsError: a logit is not a number.
        """
        self._active = [a for a in self._active if not a[0].done.cancelled()]
        self._admit()
        if not self._active:
            return
        weights = self._prefixes.weights
        tokens = [w.steps[-1].token if w.steps else w.prompt[-1] for w, _, _ in self._active]
        reading = NextTokens([sequence for _, sequence, _ in self._active], SLOTS)
        states = weights.read([*tokens, *([0] * (SLOTS - len(tokens)))], reading)
        logits = weights.logits(states)
        for (writing, sequence, rng), row in zip(self._active, logits, strict=False):
            sequence.length += 1
            writing.steps.append(_drawn(row, writing.sampling, rng))
            _go_on(writing, weights)
            writing.tell(writing)
            if writing.finished and writing.done.set_running_or_notify_cancel():
                writing.done.set_result(writing)
        self._active = [a for a in self._active if not a[0].finished]

    def _admit(self) -> None:
        while self._waiting and len(self._active) < SLOTS:
            writing = self._waiting.pop(0)
            if writing.done.cancelled():
                continue
            # The last token is not read here: the first step reads it and writes what follows.
            prefix = self._prefixes.read(writing.prompt[:-1])
            sequence = Growing(prefix.blocks, writing.sampling.max_tokens)
            rng = torch.Generator().manual_seed(writing.sampling.seed)
            self._active.append((writing, sequence, rng))


def _drawn(logits: Tensor, how: Sampling, rng: torch.Generator) -> Step:
    """One token of next-token logits (vocabulary,), with its log-probability at temperature 1."""
    table = logits.cpu().log_softmax(dim=-1)
    if how.temperature == 0:
        token = int(table.argmax())
    else:
        weights = (table / how.temperature).softmax(dim=-1)
        token = _picked(_nucleus(weights, how.top_p), float(torch.rand(1, generator=rng)))
    alternatives = likeliest(table[None], how.top_logprobs or 0)[0]
    return Step(token, float(table[token]), alternatives)


def _picked(weights: Tensor, share: float) -> int:
    """The token up to which the weights hold this share of their sum, 0 to 1."""
    # Not torch.multinomial: it draws a number for each of the vocabulary's tokens.
    reached = weights.double().cumsum(dim=0)
    found = int(torch.searchsorted(reached, share * reached[-1], right=True))
    return min(found, int(weights.nonzero()[-1]))


def _nucleus(weights: Tensor, top_p: float) -> Tensor:
    """The fewest likeliest tokens that together have `top_p`; the others get nothing."""
    if top_p >= 1:
        return weights
    falling, tokens = weights.sort(descending=True)
    beyond = falling.cumsum(dim=-1) - falling >= top_p
    return weights.index_fill(0, tokens[beyond], 0.0)


def _go_on(writing: Writing, weights: Weights) -> None:
    """Bring text and end up to date after a token."""
    ended = writing.steps[-1].token in weights.ends
    tokens = [step.token for step in writing.steps]
    text = weights.tokenizer.decode(tokens, skip_special_tokens=True)
    if not text.endswith(HALF_A_CHARACTER) or ended:
        writing.text = text
    stops = [at for stop in writing.sampling.stop if (at := writing.text.find(stop)) >= 0]
    if stops:
        writing.text = writing.text[: min(stops)]
    if ended or stops:
        writing.finished = "stop"
    elif len(tokens) >= writing.sampling.max_tokens:
        writing.finished = "length"
