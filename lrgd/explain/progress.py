"""Progress of `lrgd equivalence` and `lrgd explain`, on standard error, where somebody watches."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

PERIOD_S = 300.0
"""Over which the speed is taken: the steps' shares are estimates, their mean holds."""


@contextmanager
def parts() -> Iterator[Callable[[str, float], None]]:
    """A bar with the time left. It hears what is being done, and which part is done, 0 to 1."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns,
        console=console,
        transient=True,
        disable=not console.is_terminal,
        speed_estimate_period=PERIOD_S,
        # Tables go above the bar on a terminal, and into a file or pipe as they are.
        redirect_stdout=sys.stdout.isatty(),
    ) as bars:
        line = bars.add_task("loading", total=1.0)

        def report(name: str, done: float) -> None:
            bars.update(line, description=name, completed=done)

        yield report


@contextmanager
def spinner(text: str) -> Iterator[Callable[[int, int], None]]:
    """A line that says what is being done. It hears how many words are, and of how many."""
    with Console(stderr=True).status(text) as status:
        yield lambda done, of: status.update(f"masking words: {done} of {of}")
