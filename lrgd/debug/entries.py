"""What was done in a session, as its checkpoints keep it: a command, and the view it showed."""

from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from lrgd.debug.views import Comparison, KeptView, RevealView, StepView, WhyView


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that was done, and what it showed."""

    line: str
    """The command that does it again; empty for what cannot be asked for."""
    kind: str
    """Name of the view's class; empty where there is none."""
    view: Any = None


VIEWS = (Comparison, KeptView, RevealView, StepView, WhyView)
"""What an entry may hold."""
_ADAPTERS: dict[str, TypeAdapter[Any]] = {kind.__name__: TypeAdapter(kind) for kind in VIEWS}


def entry_to_json(line: str, view: Any = None) -> dict[str, str]:
    """An entry as a checkpoint keeps it."""
    kind = type(view).__name__ if view is not None else ""
    return {
        "line": line,
        "kind": kind,
        "view": _ADAPTERS[kind].dump_json(view).decode() if kind else "",
    }


def entry_from_json(kept: dict[str, str]) -> Entry:
    """The entry that `entry_to_json` kept."""
    kind = kept["kind"]
    view = _ADAPTERS[kind].validate_json(kept["view"]) if kind else None
    return Entry(kept["line"], kind, view)
