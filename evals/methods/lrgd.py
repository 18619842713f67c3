"""LRGD: the demonstration that was chosen on the validation task."""

from evals.journal import UserRecord
from evals.methods.base import prompted
from memory import Demonstration


def chosen(record: UserRecord) -> Demonstration | None:
    """The demonstration that the optimisation settled on."""
    return record.chosen


LRGD = prompted("LRGD", "model", chosen)
