"""What a person can set in a session: constraint, prompt order, candidate orders, ranking mode, and
which task is looked at."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast, get_args

from lrgd.agents.prompts import sanitized
from lrgd.agents.values import RankingMode
from lrgd.core.errors import InputError
from lrgd.core.validation import input_checked
from lrgd.debug.state import SessionState, settings_of, split_of, tasks_on
from lrgd.evals.data.bundle import Split
from lrgd.graphs.settings import LoopSettings

MOST_ORDERS = 64
"""Candidate orders that one ranking may be averaged over."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting with its new value."""

    words: str
    """What changes, for a reader."""
    line: str
    """The command that sets it."""
    applied_to: Callable[[SessionState], SessionState]
    """State -> the state with this setting. Raises InputError where it has no such value."""


def regularisation(text: str) -> Setting:
    """D_reg, the constraint beside the instruction; "" for none."""
    text = sanitized(text)
    words = f"regularisation from now on: {text or 'none'}"
    return Setting(words, f'/regularise "{text}"', _loop_setting("regularisation", text))


def prompt_order(order: str) -> Setting:
    """What comes first in a prompt, as "demonstration-first"."""
    value = order.replace("-", "_")
    name = value.replace("_", "-")
    words = f"prompt order from now on: {name}"
    return Setting(words, f"/order {name}", _loop_setting("prompt_order", value))


def candidate_orders(n: int) -> Setting:
    """How many candidate orders a ranking is averaged over; 1 for the given one alone.

    Raises:
        InputError: not 1 to `MOST_ORDERS`.
    """
    if not 1 <= n <= MOST_ORDERS:
        raise InputError(f"1 to {MOST_ORDERS} candidate orders, got {n}")
    words = f"candidate orders from now on: {n}"
    return Setting(words, f"/shuffle {n}", _choice("shuffles", n))


def ranking_mode(mode: str) -> Setting:
    """How the model is asked to rank."""
    return Setting(f"ranking mode from now on: {mode}", f"/mode {mode}", _choice("mode", mode))


def task_shown(split: str) -> Setting:
    """Which of the user's two tasks is ranked and shown: "test" or "validation"."""
    words = f"the {split} task from now on"

    def applied(state: SessionState) -> SessionState:
        new: SessionState = {**state, "split": cast(Split, split)}
        tasks_on(new, split_of(new))  # is it there?
        return new

    return Setting(words, f"/task {split}", applied)


def more_rounds(n: int) -> Setting:
    """The loop does this many rounds more, 1 or more."""

    def applied(state: SessionState) -> SessionState:
        if n < 1:
            raise InputError(f"1 round more or more, got {n}")
        return _loop_setting("rounds", settings_of(state).rounds + n)(state)

    return Setting(f"{n} rounds more", f"/more {n}", applied)


def as_mode(mode: str) -> RankingMode:
    """Raises InputError where it is no ranking mode."""
    if mode not in get_args(RankingMode):
        raise InputError(f"no ranking mode {mode!r}; there are {', '.join(get_args(RankingMode))}")
    return cast(RankingMode, mode)


def _loop_setting(name: str, value: Any) -> Callable[[SessionState], SessionState]:
    def applied(state: SessionState) -> SessionState:
        settings = settings_of(state).model_dump() | {name: value}
        with input_checked(None, "settings"):
            LoopSettings.model_validate(settings)
        return {**state, "settings": settings}

    return applied


def _choice(name: str, value: Any) -> Callable[[SessionState], SessionState]:
    def applied(state: SessionState) -> SessionState:
        choices = {**state["choices"], name: value}
        return {**state, "choices": choices}  # type: ignore[typeddict-item]

    return applied
