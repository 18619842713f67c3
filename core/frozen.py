"""Frozen values that callers and checkpoints may make of lists."""


def as_tuples(value: object, *fields: str) -> None:
    """Make these fields of a frozen dataclass tuples: callers and checkpoints bring lists."""
    for field in fields:
        object.__setattr__(value, field, tuple(getattr(value, field)))
