"""A process that has everything imported and forks `lrgd` commands: a start costs milliseconds.

Importing the project takes some 5 seconds of a core, a thousand times over. It is forked before any
thread or client exists. A child differs from a real command in what `_prepare` says, and in nothing
else. Run as a program; `tests.campaign.commands` speaks to it.
"""

import ctypes
import gc
import json
import os
import random
import signal
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

USED = (
    *("chromadb", "chromadb.api.rust", "aiosqlite", "langgraph.cache.sqlite", "openai"),
    *("langgraph.checkpoint.sqlite.aio", "aiohttp", "httpx2", "tabulate", "jinja2"),
    *("matplotlib.pyplot", "matplotlib.backends.backend_agg", "matplotlib.backends.backend_svg"),
    *(
        "scipy.stats",
        "PIL.PngImagePlugin",
        "PIL.JpegImagePlugin",
        "prompt_toolkit",
        "rich.progress",
    ),
    *("bm25s", "httpcore2", "truststore", "anyio.streams.tls", "rich._emoji_codes"),
    *("lrgd.cli.main", "lrgd.cli.app", "lrgd.cli.commands", "lrgd.cli.evaluation"),
    *("lrgd.terminal.command", "lrgd.evals.report.plots", "lrgd.evals.report.page"),
)


def main() -> None:
    """Read one JSON request a line, answer each with one line, until the input ends."""
    for module in USED:
        import_module(module)
    _prepare()
    gc.freeze()
    print(json.dumps({"threads": _threads()}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        answer = {"pid": _forked(asked)} if "words" in asked else _ended(asked["wait"])
        print(json.dumps(answer), flush=True)


def _threads() -> list[str]:
    """Names of the threads that a fork would lose. The allocator's and the sweeper of polars, which
    start with its import and which no command here needs, are left out."""
    tasks = [Path(f"/proc/self/task/{task}/comm") for task in os.listdir("/proc/self/task")]
    names = [task.read_text().strip() for task in tasks]
    return [name for name in names if not name.startswith(("python", "jemalloc", "polars"))]


def _prepare() -> None:
    """What a test must have otherwise: MiniLM and waiting cost time, the clock is not repeated."""
    import openai._base_client as client

    from lrgd import suites, workbench
    from lrgd.evals.runs import optimize, scoring
    from tests.scripted import hashed_words

    for module in (suites, workbench):
        module.load_minilm = lambda: hashed_words  # type: ignore[attr-defined]
    # The same retries, sooner.
    client.INITIAL_RETRY_DELAY, client.MAX_RETRY_DELAY = 0.01, 0.05  # type: ignore[misc]
    # What a ranking took is written into the files, and no two runs take the same.
    for timed in (optimize, scoring):
        timed.perf_counter = lambda: 0.0  # type: ignore[attr-defined]


def _forked(asked: dict[str, Any]) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            _be_command(asked)
        finally:
            os._exit(98)  # not reached
    return pid


def _be_command(asked: dict[str, Any]) -> None:
    """Be `lrgd WORDS`, its streams files, what it does counted and disturbed as asked."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        opened = os.open(asked[name], flags, 0o666)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115
    random.seed()
    report = os.open(asked["report"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    sys.argv = ["lrgd", *asked["words"]]
    library = ctypes.CDLL(None)
    root = os.fsencode(asked["root"])
    library.campaign_arm(root, ctypes.c_long(asked["at"]), asked["how"], report)
    code = _code()
    library.campaign_arm.restype = None
    library.campaign_events.restype = ctypes.c_long
    os.write(report, f"ended {library.campaign_events()}\n".encode())
    os._exit(code)


def _code() -> int:
    from lrgd.cli.main import main as lrgd

    try:
        lrgd()
    except SystemExit as end:
        code = end.code
    except BaseException:
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
        code = 1
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    return code if isinstance(code, int) else 0 if code is None else 1


def _ended(pid: int) -> dict[str, int]:
    """Wait for a child; its exit code, or minus the signal that ended it."""
    _, status = os.waitpid(pid, 0)
    return {"code": os.waitstatus_to_exitcode(status)}


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    main()
