"""Budgets: spending is set aside before it is spent, so no number of requests at once exceeds it.

Before a request is sent, the most that it may cost is reserved. When it is over, the reservation is
settled to what it did cost:

    answered                 one call, and the tokens that the server counted
    answered, not counted    one call, and all the tokens that were reserved: the cost is not known
    no reply (time limit, broken connection)   the same: the server may have worked, and bill it
    a refusal by status, or never sent         nothing: servers bill neither

A retry is a request of its own. Answers from the cache cost nothing.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lrgd.agents.endpoint.dialect import LIMIT, OLD_LIMIT
from lrgd.core.errors import BudgetSpent

UNLIMITED = 4096
"""Tokens reserved for a chat completion whose request has no token limit: the server knows none."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What one command may spend; None for no bound.

    It is of this command alone: what a run paid before it was resumed does not count.
    """

    calls: int | None = None
    """Requests that the server answers, or that get no reply at all."""
    tokens: int | None = None
    """Prompt and completion tokens, as the server counts them. A request goes out only where its
    upper bound still fits, see `most_tokens`: a little of the budget may stay unspent."""

    def less(self, calls: int, tokens: int) -> "Budget":
        """What is left of it."""
        return Budget(
            None if self.calls is None else max(0, self.calls - calls),
            None if self.tokens is None else max(0, self.tokens - tokens),
        )


class Account:
    """What was spent of a budget, and what requests under way have reserved. Of one event loop."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.calls = 0
        self.tokens = 0
        """Spent; more than the server counted where it did not count."""
        self._under_way = 0
        self._reserved = 0
        """Tokens of the requests under way."""
        self._settled = asyncio.Event()

    @property
    def left(self) -> Budget:
        """What may still be spent."""
        return self.budget.less(self.calls, self.tokens)

    async def reserve(self, tokens: int) -> None:
        """Set aside a call and so many tokens. Where they do not fit, wait for the requests under
        way: they may cost less than they reserved, and what they paid for is kept first.

        Raises:
            BudgetSpent: they do not fit, and nothing is under way.
        """
        while not self._fits(self._under_way, self._reserved + tokens):
            if not self._under_way:
                raise BudgetSpent(self._refusal(tokens))
            await self._settled.wait()
        self._under_way += 1
        self._reserved += tokens

    def settle(self, reserved: int, *, calls: int, tokens: int) -> None:
        """Replace a reservation by what it cost."""
        self._under_way -= 1
        self._reserved -= reserved
        self.calls += calls
        self.tokens += tokens
        self._settled.set()
        self._settled = asyncio.Event()

    def _fits(self, under_way: int, tokens: int) -> bool:
        left = self.left
        return (left.calls is None or under_way < left.calls) and (
            left.tokens is None or tokens <= left.tokens
        )

    def _refusal(self, tokens: int) -> str:
        if self.left.calls == 0:
            return f"the budget of {self.budget.calls} calls is spent"
        return (
            f"the budget of {self.budget.tokens} tokens is spent: {self.tokens} are paid, and "
            f"another call may take {tokens}"
        )


def most_tokens(body: bytes) -> int:
    """Tokens that a request can cost at most, prompt and answer.

    A token stands for a byte or more, so a prompt has no more tokens than its request has bytes;
    what a chat template adds is less than what is thus counted too much.
    """
    try:
        asked = json.loads(body)
    except ValueError:
        return len(body)
    return len(body) + (_most_written(asked) if isinstance(asked, Mapping) else 0)


def _most_written(asked: Mapping[str, Any]) -> int:
    unlimited = UNLIMITED if "messages" in asked else 0  # rerankers and typed questions write none
    limit = asked.get(LIMIT, asked.get(OLD_LIMIT, unlimited))
    answers = asked.get("n", 1)
    return int(limit) * int(answers) * _prompts(asked.get("prompt"))


def _prompts(prompt: object) -> int:
    """How many prompts /v1/completions was given: texts, or lists of token ids."""
    if not isinstance(prompt, list) or all(isinstance(token, int) for token in prompt):
        return 1
    return len(prompt)
