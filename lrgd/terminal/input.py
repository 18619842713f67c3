"""Where the chat's lines come from: a prompt with history and completion, or a pipe."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory

from lrgd.agents.values import Item
from lrgd.core.text import visible
from lrgd.debug.commands import COMMANDS
from lrgd.debug.desk import UserRow

WORDS = {
    "edit": ("generator", "recommender"),
    "mode": ("decision", "logprobs", "listwise"),
    "order": ("instruction-first", "demonstration-first"),
    "perturb": ("from",),
    "prompt": ("generator", "recommender"),
    "task": ("validation", "test"),
    "worst": ("lost", "rank", "change", "collapsed", "refused"),
}


class ChatCompleter(Completer):
    """Commands, users and items, by id or by title."""

    def __init__(self, users: Sequence[UserRow]) -> None:
        self._users = users
        self.items: Sequence[Item] = ()
        """The candidates of the user that the chat is about."""

    def get_completions(self, document: Document, event: CompleteEvent) -> Iterable[Completion]:
        line = document.text_before_cursor
        if not line.startswith("/"):
            return
        name, blank, rest = line[1:].partition(" ")
        if not blank:
            for command in COMMANDS:
                if command.name.startswith(name.lower()):
                    about = f"{command.arguments}  {command.line}".strip()
                    yield Completion(f"/{command.name}", -len(line), display_meta=about)
            return
        typed = rest.rpartition(" over ")[2] if name == "why" else rest
        for word, about in self._arguments(name):
            if typed.casefold() in f"{word} {about}".casefold():
                yield Completion(word, -len(typed), display_meta=visible(about))

    def _arguments(self, name: str) -> Iterable[tuple[str, str]]:
        if name == "user":
            return [(row.user_id, "; ".join(row.titles)[:60]) for row in self._users]
        if name == "why":
            return [(item.id, item.title) for item in self.items]
        return [(word, "") for word in WORDS.get(name, ())]


async def lines(
    completer: ChatCompleter, history: Path, ask: Callable[[], str]
) -> AsyncIterator[str]:
    """The lines that a person types, to the end of input; a pipe's where there is no terminal."""
    if not sys.stdin.isatty():
        while line := await asyncio.to_thread(sys.stdin.readline):
            print(f"{ask()}{visible(line.rstrip())}")
            yield line.rstrip("\n")
        return
    prompt: PromptSession[str] = PromptSession(
        history=FileHistory(str(history)), completer=completer, complete_while_typing=False
    )
    while True:
        try:
            yield await prompt.prompt_async(ask())
        except KeyboardInterrupt:
            continue  # a line that was thrown away
        except EOFError:
            return
