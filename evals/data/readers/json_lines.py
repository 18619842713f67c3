"""Files of one JSON object a line."""

import json
from collections.abc import Iterator
from glob import escape
from math import isnan
from pathlib import Path
from typing import Any

import polars as pl

from lrgd.core.errors import InputError
from lrgd.evals.data.readers.lines import existing, lines_of
from lrgd.evals.data.readers.table import BLANKS, NUMBERS, Record, Table, Where


def json_lines(path: Path, fields: dict[str, str], columns: tuple[str, ...]) -> Table:
    """A file of one JSON object a line. Only the fields named are read and judged.

    A value that is no text is read as its JSON text. NaN, which pandas writes for what is missing,
    is missing in a text; among numbers and ids it is an error.
    """

    def records() -> Iterator[tuple[Where, Record]]:
        for number, line in lines_of(path):
            if line.strip(BLANKS):
                try:
                    yield number, _texts(_json_object(line), fields)
                except (ValueError, RecursionError) as error:
                    raise InputError(f"{path}:{number}: {error}") from error

    schema = dict.fromkeys(fields.values(), pl.String())
    # polars takes a path for a pattern.
    scan = pl.scan_ndjson(escape(str(existing(path))), schema=schema)
    return Table(path, fields, columns, records, scan)


def _json_object(line: str) -> dict[str, Any]:
    if line.lstrip().startswith("{'"):
        raise ValueError(
            "single quotes: this is the loose JSON of before 2018, not JSON; take the 2018 files "
            "or convert it with ast.literal_eval and json.dumps"
        )
    wanted = f"wanted a JSON object, got {line.strip()[:60]!r}"
    try:
        # Of a key that comes twice the first counts, as for polars.
        value = json.loads(line, parse_float=_number, object_pairs_hook=lambda p: dict(p[::-1]))
    except json.JSONDecodeError as error:
        raise ValueError(f"{wanted} ({error})") from error
    except RecursionError as error:
        raise ValueError(f"{wanted} (nested too deeply)") from error
    if not isinstance(value, dict):
        raise ValueError(wanted)
    return value


def _number(text: str) -> float | int:
    """As polars writes it: 5.0 is 5."""
    value = float(text)
    return int(value) if value.is_integer() else value


def _texts(record: dict[str, Any], fields: dict[str, str]) -> dict[str, str | None]:
    return {field: _text(column, field, record.get(field)) for column, field in fields.items()}


def _text(column: str, field: str, value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float) and isnan(value) and column not in NUMBERS:
        return None
    if isinstance(value, float) and column not in NUMBERS and abs(value) == float("inf"):
        raise ValueError(f"field {field}: wanted text, got {value}")
    return json.dumps(value, ensure_ascii=False)
