"""The figures of a campaign, from its records, as tables of Markdown.

python -m tests.campaign.figures
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from tabulate import tabulate

from tests.campaign.faults import FAULTS
from tests.campaign.records import Records


def main() -> None:
    """Print a table for each campaign that has records."""
    for name, table in TABLES.items():
        lines = list(Records(name))
        if lines:
            rows = table(lines)
            print(f"## {name}\n\n{tabulate(rows, headers='keys', tablefmt='github')}\n")


def _kills(lines: Sequence[dict]) -> list[dict]:
    return [_killed(job, [x for x in lines if x["job"] == job]) for job in _values(lines, "job")]


def _killed(job: str, lines: Sequence[dict]) -> dict:
    events = [event.split(maxsplit=2) for line in lines for event in line["events"]]
    moves = {"write", "pwrite", "writev", "send"}
    again = [line["again"] for line in lines]
    return {
        "command": job,
        "points": len(lines),
        "kills": len(events),
        "half-way through a write": sum(how == "half" and call in moves for how, call, _ in events),
        "in a database": sum("sqlite" in where for _, _, where in events),
        "on the network": sum(where == "tcp" for _, _, where in events),
        "paid again, mean": round(sum(again) / max(1, len(events)), 2),
        "paid again, most": max(again),
        "faults": _faults(lines),
    }


def _illnesses(lines: Sequence[dict]) -> list[dict]:
    met = sum((Counter(line["met"]) for line in lines), Counter())
    fates = {fate: [f.name for f in FAULTS if f.fate == fate] for fate in _FATES}
    rows = [_fate(fate, names, met) for fate, names in fates.items()]
    codes = [code for line in lines for of_job in line["codes"].values() for code in of_job]
    starts = f"{len(codes)} starts of {len(lines)} runs, {codes.count(2)} stopped in one line"
    return [*rows, {**_fate(starts, [f.name for f in FAULTS], met), "faults": _faults(lines)}]


def _fate(about: str, names: Sequence[str], met: Counter) -> dict:
    seen = [met[name] for name in names]
    return {"fate": about, "kinds": len(names), "met": sum(map(bool, seen)), "replies": sum(seen)}


_FATES = ("again", "stops", "failed", "read")


def _disks(lines: Sequence[dict]) -> list[dict]:
    return [
        {
            "disk": way,
            "points": len(of),
            "ended in one line": sum(line["code"] == 2 for line in of),
            "came to the end": sum(line["code"] == 0 for line in of),
            "faults": _faults(of),
        }
        for way in _values(lines, "way")
        for of in [[line for line in lines if line["way"] == way]]
    ]


def _pairs(lines: Sequence[dict]) -> list[dict]:
    return [
        {
            "in the folder": job,
            "pairs": len(of),
            "both worked": sum(line["codes"] == [0, 0] for line in of),
            "told who holds it": sum("is being written by" in str(line["told"]) for line in of),
            "another refusal": sum(
                2 in line["codes"] and "is being written by" not in str(line["told"]) for line in of
            ),
            "faults": _faults(of),
        }
        for job in _values(lines, "job")
        for of in [[line for line in lines if line["job"] == job]]
    ]


TABLES = {"kills": _kills, "faults": _illnesses, "disks": _disks, "pairs": _pairs}


def _values(lines: Iterable[dict], field: str) -> list[str]:
    return list(dict.fromkeys(str(line[field]) for line in lines))


def _faults(lines: Iterable[dict]) -> int:
    return sum(line["fault"] != "" for line in lines)


if __name__ == "__main__":
    main()
