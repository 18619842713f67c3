"""The project's errors. They stand on the ground floor because every floor raises them.

    LrgdError
    ├── InputError       a file, a bundle, a run folder or a name that cannot be used
    ├── EndpointError    the model server refused, or answered what it should not
    │   ├── EndpointUnavailable   no answer, or "later": worth another attempt
    │   └── RankingFailed         a ranking got no answer: refused, empty, cut off
    ├── SessionConflict  another face of the same session is at work, or has gone on
    ├── BudgetSpent      the command may make no further model call
    ├── MachineError     disk full, read-only, no permission, a broken database, an encoding
    └── WeightsError     model weights that are missing or not the expected ones

A message says what was wanted, what came and what to do, in one line.
"""

from lrgd.core.text import visible

LONGEST = 1_000
"""Characters of what is told of a server."""
KEPT = "what is done is kept, and a run goes on with --resume"
"""Told with whatever stops a command in the middle of a run."""


class LrgdError(Exception):
    """Root of all errors that a user can act on.

    Example:
        >>> import asyncio, lrgd
        >>> try:
        ...     asyncio.run(lrgd.optimize([{"user_id": "ann", "history": []}]))
        ... except lrgd.LrgdError as error:
        ...     print(error)
        task of 'ann': wanted a field 'candidates', got user_id, history
    """


class InputError(LrgdError):
    """A file, a bundle, a run folder or a name that cannot be used."""


class EndpointError(LrgdError):
    """The model server refused, or answered what it should not.

    Messages repeat what it sent: one line, cut, of characters that every terminal and file takes.
    """

    def __init__(self, message: str) -> None:
        super().__init__(visible(message[:LONGEST]) + ("..." if len(message) > LONGEST else ""))


class EndpointUnavailable(EndpointError):
    """The model server gave no answer, or said "later": worth another attempt."""


class RankingFailed(EndpointError):
    """The model server replied, but with no answer to rank by: never the candidates' order."""

    def __init__(self, message: str, kind: str, paid: tuple[int, ...] = ()) -> None:
        """
        Args:
            kind: what came instead, see `lrgd.agents.endpoint.replies`.
            paid: the counts of a `Usage`: failed calls cost as others do.
        """
        super().__init__(message)
        self.kind = kind
        self.paid = paid


class SessionConflict(LrgdError):
    """Another face of the same session is at work, or has gone on: look, then try again."""


class BudgetSpent(LrgdError):
    """The command may make no further model call."""


class MachineError(LrgdError):
    """The machine refused: disk full, read-only, no permission, a broken database, an encoding."""


class WeightsError(LrgdError):
    """Model weights that are missing or not the expected ones."""
