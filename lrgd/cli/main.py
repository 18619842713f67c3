"""Entry point of the `lrgd` command: turns errors into one line and an exit code.

0: done. 2: bad input, an endpoint that cannot be used, or a machine that refuses (disk, permission,
encoding). 130: stopped by Ctrl-C. 141: nobody reads the output any more, as after `| head`.

This is the one place where the errors of the machine become lines. Elsewhere they are caught only
where more can be said or something can be done.
"""

import io
import os
import select
import sys
from collections.abc import Callable

INTERRUPTED = 130
"""Typer's exit code for Ctrl-C, the shells' custom."""
UNREAD = 141
"""The shells' custom for a program whose output nobody reads."""


def main() -> None:
    """Run the command line."""
    # Before torch is loaded: beside a busy process its threads would wait, awake, for each other,
    # and an explanation would take minutes.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    _open_streams()
    _print_every_character()
    from lrgd.cli.app import command_line

    code = _code_of(command_line())
    unwritten = _code_of(lambda: sys.stdout.flush())
    if unwritten or code == UNREAD:
        _drop_output()  # Python would try again, and complain
    sys.exit(code or unwritten)


def _open_streams() -> None:
    """Have a closed standard stream lead nowhere. The next file to be opened, a run's database,
    would take its number and get what libraries print."""
    while (handle := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(handle, True)
    os.close(handle)
    sys.stdout = sys.stdout or open(1, "w")  # noqa: SIM115 (for as long as the process lives)
    sys.stderr = sys.stderr or open(2, "w")  # noqa: SIM115


def _print_every_character() -> None:
    """Write what the terminal's encoding lacks as an escape: no emoji is a reason to stop."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _code_of(job: Callable[[], object]) -> int:
    """Do a job; what ended it is told in one line. Returns the exit code."""
    from lrgd.core.errors import KEPT

    try:
        job()
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # seen by Rich or Typer
            return UNREAD
        if end.code == INTERRUPTED:
            print(f"lrgd: stopped; {KEPT}", file=sys.stderr)
        if isinstance(end.code, str):
            raise
        return end.code or 0
    except BaseException as error:
        return _ended_by(error)
    return 0


def _ended_by(error: BaseException) -> int:
    if isinstance(error, BrokenPipeError) and _unread():
        return UNREAD
    line = _line(error)
    if line is None:
        raise error
    print(f"lrgd: {' '.join(line.split())}", file=sys.stderr)
    return 2


def _line(error: BaseException) -> str | None:
    """What to tell of an error; None for a fault of ours, which is shown with its traceback."""
    from lrgd.core.errors import BudgetSpent, LrgdError, MachineError
    from lrgd.core.machine import machine_line

    leaves = _leaves(error)
    lines = [str(e) if isinstance(e, LrgdError) else machine_line(e) for e in leaves]
    if None in lines:
        return None
    # Other errors are known before a run begins, or say themselves how it goes on.
    in_the_middle = not isinstance(leaves[0], LrgdError) or isinstance(
        leaves[0], BudgetSpent | MachineError
    )
    notes = getattr(error, "__notes__", ()) if in_the_middle else ()
    return "; ".join([str(lines[0]), *notes])


def _leaves(error: BaseException) -> list[BaseException]:
    """The errors that a group is made of, or the error itself."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
    return [error]


def _unread() -> list[int]:
    """Which of standard output and standard error nobody reads any more."""
    poll = select.poll()
    for handle in (1, 2):
        poll.register(handle, select.POLLOUT)
    return [handle for handle, event in poll.poll(0) if event & select.POLLERR]


def _drop_output() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for handle in {1, *_unread()}:
        os.dup2(nowhere, handle)


if __name__ == "__main__":
    main()
