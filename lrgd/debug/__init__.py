"""A debugging session over one user's case: everything that a face can show and do."""

from lrgd.debug.commands import COMMANDS, Command, dispatch, parse
from lrgd.debug.events import Event, ModelText, NodeDone, NodeStarted
from lrgd.debug.opening import open_session
from lrgd.debug.ranking import Tools
from lrgd.debug.session import Session

__all__ = [
    "COMMANDS",
    "Command",
    "Event",
    "ModelText",
    "NodeDone",
    "NodeStarted",
    "Session",
    "Tools",
    "dispatch",
    "open_session",
    "parse",
]
