"""A bar on standard error while a model is fetched, and a line that says which model it is."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from lrgd.serving.models.catalogue import ModelEntry
from lrgd.serving.models.fetch import Progress


def about(entry: ModelEntry) -> str:
    """Name, licence and source in one line."""
    return (
        f"{entry.name}: {entry.about}. Licence {entry.licence} ({entry.licence_from}); "
        f"weights out of the package {entry.source.requirement}."
    )


@contextmanager
def fetching(entry: ModelEntry) -> Iterator[Progress]:
    """A `lrgd.serving.models.Report`: one bar, which says what is going on."""
    console = Console(stderr=True)
    console.print(about(entry), markup=False, highlight=False, soft_wrap=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    # Where nobody watches, the line above is enough.
    hidden = not console.is_terminal
    with Bars(*columns, console=console, transient=True, disable=hidden) as bars:
        under_way, line = "", bars.add_task("starting", total=None)

        def progress(stage: str, done: int, total: int | None) -> None:
            nonlocal under_way, line
            if stage != under_way:  # a new line forgets the speed of what was before
                bars.remove_task(line)
                under_way, line = stage, bars.add_task(stage, total=total)
            bars.update(line, completed=min(done, total) if total else done)

        yield progress
