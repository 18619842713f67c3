"""The project's errors. They stand on the ground floor because every floor raises them.

    LrgdError
    ├── InputError       a file, a bundle, a run folder or a name that cannot be used
    ├── EndpointError    the model server refused, or answered what it should not
    │   └── EndpointUnavailable   no answer, or "later": worth another attempt
    ├── SessionConflict  another face of the same session is at work, or has gone on
    ├── BudgetSpent      the command may make no further model call
    └── WeightsError     model weights that are missing or not the expected ones

A message says what was wanted, what came and what to do, in one line.
"""


class LrgdError(Exception):
    """Root of all errors that a user can act on."""


class InputError(LrgdError):
    """A file, a bundle, a run folder or a name that cannot be used."""


class EndpointError(LrgdError):
    """The model server refused, or answered what it should not."""


class EndpointUnavailable(EndpointError):
    """The model server gave no answer, or said "later": worth another attempt."""


class SessionConflict(LrgdError):
    """Another face of the same session is at work, or has gone on: look, then try again."""


class BudgetSpent(LrgdError):
    """The command may make no further model call."""


class WeightsError(LrgdError):
    """Model weights that are missing or not the expected ones."""
