"""What a run folder says, in a form in which two runs can be compared byte for byte."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from lrgd.evals.runs.folder import RunFolder

BY_LINE = ("journal.jsonl", "scores.jsonl")
"""Users are done in any order: their lines are compared sorted."""
ABOUT_PROCESSES = ("writer.json", "writer.lock", "failed.jsonl")
"""Who wrote last, and what failed on the way."""
NO_RESULT = {"memory", "turns", "cases"}
"""Folders: the memory's rows are read instead; debugging sessions leave locks and cases."""


def contents(folder: Path) -> dict[str, bytes]:
    """Everything that a run, or the output of a suite, tells: path below the folder -> bytes.

    That is every file but databases, locks and what a killed process left unfinished beside a file;
    of the memories the rows, but for the time of writing.
    """
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and _tells(path)]
    told = {str(path.relative_to(folder)): _told(path) for path in files}
    for database in sorted(folder.rglob("chroma.sqlite3")):
        told[str(database.parent.relative_to(folder))] = _rows(database)
    return told


def _tells(path: Path) -> bool:
    hidden = path.name.startswith(".") or path.name in ABOUT_PROCESSES
    return not hidden and not NO_RESULT & {*path.parts} and ".sqlite" not in path.name


def _told(path: Path) -> bytes:
    content = path.read_bytes()
    return b"".join(sorted(content.splitlines(True))) if path.name in BY_LINE else content


def _rows(database: Path) -> bytes:
    with closing(sqlite3.connect(database)) as opened:
        rows = opened.execute(
            "SELECT embedding_id, key, string_value, int_value, float_value, bool_value "
            "FROM embedding_metadata JOIN embeddings USING (id) WHERE key <> 'written_at' "
            "ORDER BY embedding_id, key"
        ).fetchall()
    return json.dumps(rows).encode()


def differences(found: dict[str, bytes], wanted: dict[str, bytes]) -> str:
    """Which files two runs tell differently; "" where none."""
    names = sorted(n for n in found.keys() | wanted.keys() if found.get(n) != wanted.get(n))
    return "; ".join(f"{n}: {_first_difference(found.get(n), wanted.get(n))}" for n in names)


def _first_difference(found: bytes | None, wanted: bytes | None) -> str:
    if found is None or wanted is None:
        return "missing" if found is None else "not wanted"
    pairs = enumerate(zip(found, wanted, strict=False))
    at = next((n for n, (a, b) in pairs if a != b), min(len(found), len(wanted)))
    begin = max(0, at - 60)
    return f"{found[begin : at + 60]!r} for {wanted[begin : at + 60]!r}"


def kept_answers(folder: Path) -> dict[str, bytes]:
    """The answers that a run keeps, by their keys; none where it keeps no file."""
    file = folder / "answers.sqlite"
    if not file.exists():
        return {}
    with closing(sqlite3.connect(file)) as opened:
        if not opened.execute("SELECT 1 FROM sqlite_master WHERE name = 'cache'").fetchall():
            return {}
        return {key: bytes(value) for key, value in opened.execute("SELECT key, val FROM cache")}


def damage(folder: Path) -> str:
    """Which databases SQLite finds damaged, and which lines are unreadable; "" where none.

    Looks at copies: to open a database repairs it, and the run shall do that itself.
    """
    found = []
    for file in sorted(folder.rglob("*.sqlite*")):
        if file.name.endswith(("-wal", "-shm", "-journal")):
            continue
        with TemporaryDirectory(dir="/dev/shm") as copies:
            for part in file.parent.glob(f"{file.name}*"):
                shutil.copy(part, copies)
            with closing(sqlite3.connect(Path(copies) / file.name)) as opened:
                said = opened.execute("PRAGMA integrity_check").fetchall()
        found += [f"{file.name}: {said}"] if said != [("ok",)] else []
    return "; ".join(found)


def unknown_lines(folder: Path, wanted: dict[str, bytes]) -> str:
    """Lines that a reader takes for whole and that the undisturbed run has not; "" where none."""
    run = RunFolder(folder)
    read = {"journal.jsonl": run.records.read(), "scores.jsonl": run.scores.read()}
    known = {name: wanted.get(name, b"").splitlines() for name in BY_LINE}
    strange = []
    for name, records in read.items():
        kept = (folder / name).read_bytes() if records else b""
        lines = kept[: kept.rfind(b"\n") + 1].splitlines()
        strange += [f"{name}: {line[:200]!r}" for line in lines if line not in known[name]]
    return "; ".join(strange)
