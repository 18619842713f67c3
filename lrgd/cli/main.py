"""Entry point of the `lrgd` command: turns errors into one line and an exit code.

0: done. 2: bad input, or an endpoint that cannot be used. 130: stopped by Ctrl-C.
"""

import os
import sys

INTERRUPTED = 130
"""Typer's exit code for Ctrl-C, the shells' custom."""

KEPT = "what is done is kept, and a run goes on with --resume"


def main() -> None:
    """Run the command line."""
    # Before torch is loaded: beside a busy process its threads would wait, awake, for each other,
    # and an explanation would take minutes.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    from lrgd.cli.commands import app
    from lrgd.core.errors import BudgetSpent, LrgdError

    try:
        app()
    except LrgdError as error:
        _stop(str(error))
    except BaseExceptionGroup as group:
        known, other = group.split(LrgdError)
        if known is None or other is not None:
            raise
        first = _first(known)
        kept = f"; {KEPT}" if isinstance(first, BudgetSpent) else ""
        _stop(f"{first}{kept}")
    except SystemExit as end:
        if end.code == INTERRUPTED:
            print(f"lrgd: stopped; {KEPT}", file=sys.stderr)
        raise


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner


def _stop(message: str) -> None:
    print(f"lrgd: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
