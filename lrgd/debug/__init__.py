"""A debugging session over one user's case: everything that a terminal or a page can do and show.

From the bottom up:

    state        what a session's graph works on and its checkpoints keep
    views        what commands show: small values, to be rendered by a terminal or a page
    settings     what a person can set
    case         the state as views; items by name; what memory may keep
    rounds       every round of every path
    transcript   what was done, as checkpoints keep it, as Markdown, as a script
    equipment    model, ranker, memory, weights: opened when first needed
    steps        what each node writes and shows
    graph        the optimisation graph's nodes, one at a time
    thread       checkpoints, whose turn it is, history
    past         what a run did for a user, as a session's checkpoints
    experiments  one thing changed and ranked again
    prompts      the exact text of a call
    edits        a prompt changed in place and sent again
    session      what a person can do to one case
    opening      a session begun or taken up
    arguments    what stands behind a command's name
    commands     a line -> a command -> a view
    regression   a ranking that was good once, as a file
    trouble      a run's users, by what went wrong
    desk         bundle, run folder and model behind sessions
    seat         one terminal or page at a desk
"""

from lrgd.debug.commands import COMMANDS, Command, dispatch, parse
from lrgd.debug.equipment import Equipment
from lrgd.debug.opening import open_session
from lrgd.debug.session import Event, ModelText, NodeDone, NodeStarted, Session

__all__ = [
    "COMMANDS",
    "Command",
    "Equipment",
    "Event",
    "ModelText",
    "NodeDone",
    "NodeStarted",
    "Session",
    "dispatch",
    "open_session",
    "parse",
]
