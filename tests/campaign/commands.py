"""`lrgd` commands in processes of their own, counted and disturbed, as the nursery forks them."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from threading import Lock
from typing import Any, Literal

How = Literal["before", "half", "after", "full", "broken", "slow"]
"""What happens at the chosen event: the process dies before, half-way through or after it; from
there on the disk is full; there the disk breaks (EIO); from there on the disk is slow."""
HOWS: tuple[How, ...] = ("before", "half", "after", "full", "broken", "slow")
SOURCE = Path(__file__).with_name("interposer.c")
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Disturbance:
    """One event of a command, and what happens there."""

    at: int = 0
    """1-based; 0: nothing is disturbed, events are counted."""
    how: How = "before"


UNDISTURBED = Disturbance()


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    """Minus the signal's number where one ended it."""
    out: str
    told: str
    """Its standard error."""
    event: str
    """The event at which it died, as "pwrite answers.sqlite-wal"; "" where it did not."""
    events: int
    """How many there were; 0 where it died."""

    @property
    def killed(self) -> bool:
        return self.code == -9


def compiler() -> str | None:
    """The C compiler of this machine."""
    return shutil.which("cc") if sys.platform == "linux" else None


class Commands:
    """Starts commands. Made by `nursery`."""

    def __init__(self, process: "subprocess.Popen[str]", folder: Path) -> None:
        self._process, self._folder = process, folder
        self._numbers, self._lock = count(), Lock()

    def run(
        self,
        words: Sequence[object],
        root: Path,
        disturbed: Disturbance = UNDISTURBED,
        *,
        typed: str = "",
    ) -> Ended:
        """Do `lrgd WORDS` and wait for its end.

        Args:
            root: the folder whose files' events count.
            typed: its standard input.
        """
        return self.wait(self.start(words, root, disturbed, typed=typed))

    def start(
        self,
        words: Sequence[object],
        root: Path,
        disturbed: Disturbance = UNDISTURBED,
        *,
        typed: str = "",
    ) -> "Started":
        """Begin `lrgd WORDS`, see `run`."""
        files = self._folder / str(next(self._numbers))
        files.mkdir()
        (files / "stdin").write_text(typed)
        streams = {name: str(files / name) for name in ("stdin", "stdout", "stderr", "report")}
        asked = {"words": [str(word) for word in words], "root": str(root.resolve()), **streams}
        answer = self._asked({**asked, "at": disturbed.at, "how": HOWS.index(disturbed.how)})
        return Started(int(answer["pid"]), files)

    def wait(self, started: "Started") -> Ended:
        """Wait for a command's end."""
        code = int(self._asked({"wait": started.pid})["code"])
        read = {n: (started.files / n).read_text("utf-8", "replace") for n in _READ}
        words = read["report"].split()
        ended = words[:1] == ["ended"]
        event = f"{words[0]} {Path(words[1]).name}" if words and not ended else ""
        shutil.rmtree(started.files)
        return Ended(code, read["stdout"], read["stderr"], event, int(words[1]) if ended else 0)

    def _asked(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin
        assert self._process.stdout
        with self._lock:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        assert answer, "the nursery has died"
        return dict(json.loads(answer))


_READ = ("stdout", "stderr", "report")


@dataclass(frozen=True)
class Started:
    """A command under way."""

    pid: int
    files: Path

    @property
    def over(self) -> bool:
        """Whether it has ended, and nobody has waited for it yet."""
        stat = Path(f"/proc/{self.pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] == "Z"


@contextmanager
def nursery(folder: Path) -> Iterator[Commands]:
    """A nursery, for the length of the `with`.

    Args:
        folder: for the interposer and for what commands print.
    """
    library = folder / "interposer.so"
    built = [str(compiler()), "-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o", str(library)]
    subprocess.run([*built, str(SOURCE), "-ldl"], check=True)
    lonely = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.campaign.nursery"],
        env={**os.environ, **lonely, "LD_PRELOAD": str(library)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    with process:
        assert process.stdin
        assert process.stdout
        ready = json.loads(process.stdout.readline())
        assert not ready["threads"], f"{ready['threads']} run before the first fork"
        yield Commands(process, folder)
        process.stdin.close()
