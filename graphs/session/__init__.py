"""A debugging session over one user's case: everything that a face can show and do."""

from graphs.session.commands import COMMANDS, Command, dispatch, parse
from graphs.session.events import Event, ModelText, NodeDone, NodeStarted
from graphs.session.opening import open_session
from graphs.session.ranking import Tools
from graphs.session.session import Session

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
