"""What a session tells while it goes on."""

from dataclasses import dataclass
from typing import Literal

from lrgd.debug.views import StepView

Extent = Literal["step", "round", "run"]


@dataclass(frozen=True, slots=True)
class NodeStarted:
    """A node is under way."""

    node: str
    path: int | None


@dataclass(frozen=True, slots=True)
class ModelText:
    """A piece of what a model is writing."""

    node: str
    path: int | None
    text: str


@dataclass(frozen=True, slots=True)
class NodeDone:
    """A node has ended; its step is saved."""

    step: StepView


Event = NodeStarted | ModelText | NodeDone
