"""pydantic's complaints as errors of this project: one line that names the field."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from pydantic import ValidationError

from lrgd.core.errors import InputError


class Complaints(Protocol):
    """A pydantic `ValidationError`, or another that lists its faults in the same way."""

    def errors(self) -> Sequence[Mapping[str, Any] | Any]: ...


def first_fault(complaints: Complaints, whole: str, *, skipped: int = 0) -> str:
    """The first fault that was found, as "field: what is wrong with it".

    Args:
        whole: stands for the field where the value as a whole is wrong.
        skipped: leading parts of the field's place that a reader does not know.
    """
    first = complaints.errors()[0]
    field = ".".join(map(str, first["loc"][skipped:])) or whole
    return f"{field}: {first['msg']}"


@contextmanager
def input_checked(place: object | None, whole: str) -> Iterator[None]:
    """Raise an InputError "place: field: what is wrong" where the block fails validation.

    Args:
        place: the file, perhaps with a line; None where the field alone says enough.
        whole: stands for the field where the value as a whole is wrong.
    """
    try:
        yield
    except ValidationError as error:
        prefix = "" if place is None else f"{place}: "
        raise InputError(f"{prefix}{first_fault(error, whole)}") from error
