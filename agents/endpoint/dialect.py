"""Dialects: how a server wants chat completions asked, where it differs from OpenAI's own.

Servers refuse parameters that they do not know (`seed`, `temperature`), and know the token limit by
its old name only, or by none. The probe finds out; requests are then made without a second try.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LIMIT = "max_completion_tokens"
"""OpenAI's name of the token limit, and ours."""
OLD_LIMIT = "max_tokens"
OPTIONAL = ("seed", "temperature")
"""Parameters that a run can do without: it is then less repeatable, or as random as the server."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a chat completion's request leaves out, and what it calls by another name."""

    left_out: tuple[str, ...] = ()
    """Parameters that the server refuses."""
    limit: str = LIMIT
    """Its name of the token limit."""
    limit_ignored: bool = False
    """Whether it writes more than the limit all the same."""
    v1: bool | None = None
    """Whether its endpoints lie under /v1; None: as the base URL says."""

    def spoken(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """A request in this dialect."""
        renamed = {self.limit if key == LIMIT else key: value for key, value in body.items()}
        return {key: value for key, value in renamed.items() if key not in self.left_out}

    @property
    def differences(self) -> str:
        """What is peculiar about it, for people; "" where nothing is."""
        said = [f"without {name}" for name in self.left_out]
        if self.limit != LIMIT and self.limit not in self.left_out:
            said.append(f"the token limit as {self.limit}")
        if self.limit_ignored:
            said.append("the token limit is ignored")
        if self.v1 is not None:
            said.append(f"{'under' if self.v1 else 'not under'} /v1")
        return ", ".join(said)


STANDARD = Dialect()
"""OpenAI's own."""


def _dialects() -> tuple[Dialect, ...]:
    """Every dialect of the parameters, the ones with the fewest changes first."""
    limits = [((), LIMIT), ((), OLD_LIMIT), ((OLD_LIMIT,), OLD_LIMIT)]
    optional = [(), OPTIONAL[:1], OPTIONAL[1:], OPTIONAL]
    made = [Dialect((*left, *more), limit) for left in optional for more, limit in limits]
    return tuple(sorted(made, key=lambda d: len(d.left_out) + (d.limit != LIMIT)))


DIALECTS = _dialects()
