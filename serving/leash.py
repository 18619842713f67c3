"""Runs `transformers serve` for as long as its parent lives.

The parent holds the other end of standard input. When it ends, for whatever reason (a crash and
`kill -9` too), that end closes and so does this process.
"""

import os
import sys
import threading


def _exit_with_parent() -> None:
    # Not sys.stdin.read: it holds a lock that the interpreter wants when it ends by itself.
    os.read(sys.stdin.fileno(), 1)
    os._exit(0)


def main() -> None:
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    from transformers.cli.transformers import main as transformers_cli

    transformers_cli()


if __name__ == "__main__":
    main()
