"""One progress display for all that a command does, on standard error."""

from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from lrgd.evals.runs.folder import UserRecord
from lrgd.evals.runs.optimize import Progress


class Display:
    """A line for each stage, added as it begins; use it in a `with`."""

    def __init__(self) -> None:
        columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bars = Bars(*columns, console=Console(stderr=True))

    def __enter__(self) -> "Display":
        self._bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bars.stop()

    def optimizing(self, name: str, users: int) -> Callable[[Progress], None]:
        """A line for an optimisation: users done, model calls, mean Effect_D, time left."""
        line = self._bars.add_task(f"optimising {name}", total=users)
        calls, effects = 0, list[float]()

        def report(progress: Progress) -> None:
            nonlocal calls
            calls += progress.calls
            if progress.done is not None:
                effects.append(_effect(progress.done))
                self._bars.advance(line)
            mean = sum(effects) / max(1, len(effects))
            text = f"optimising {name}: {calls} calls, mean Effect_D {mean:.3f}"
            self._bars.update(line, description=text)

        return report

    def counting(self, stage: str, total: int) -> Callable[[object], None]:
        """A line for a stage of so many steps; what it returns is told of each."""
        line = self._bars.add_task(stage, total=total)
        return lambda done: self._bars.advance(line)


def _effect(record: UserRecord) -> float:
    return record.chosen.effect if record.chosen else 0.0
