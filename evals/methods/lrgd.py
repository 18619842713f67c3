"""LRGD: the demonstration that was chosen on the validation task."""

from lrgd.evals.methods.base import prompted
from lrgd.evals.runs.folder import UserRecord
from lrgd.memory import Demonstration


def chosen(record: UserRecord) -> Demonstration | None:
    """The demonstration that the optimisation settled on."""
    return record.chosen


LRGD = prompted("LRGD", "model", chosen)
