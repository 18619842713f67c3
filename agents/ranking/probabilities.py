"""Probabilities as servers tell them, checked: every number that a ranking is made of passes here.

Also the tokens that they are told of, in the forms in which tokenizers keep them.
"""

import re
from math import isfinite, isnan
from typing import Any

ROUNDING = 0.01
"""By how much a probability may stand above 1, and its logarithm above 0."""
LEAST_SHARE = 0.05
"""Of the probability that a question's answer had, what its options must have: an order of what is
left is an order of the far tail."""
GOOD_SHARE = 0.5
"""From here on a model answers what it is asked: half of all answers are options."""

# The blanks of byte-level tokenizers (GPT-2's table), and SentencePiece's.
_BLANKS = str.maketrans({"Ġ": " ", "Ċ": "\n", "ĉ": "\t", "č": "\r", "▁": " "})
_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def probability(value: Any) -> float:
    """A number that a server calls a probability. They need not sum to 1.

    Raises:
        ValueError: it is none: no number, not finite, below 0, or above 1.
    """
    found = _number(value, "a probability")
    if not isfinite(found) or not 0 <= found <= 1 + ROUNDING:
        raise ValueError(f"wanted a probability, got {value!r}")
    return found


def log_probability(value: Any) -> float:
    """A number that a server calls a log-probability, in nats; -inf is the one of 0.

    Raises:
        ValueError: it is none: no number, NaN, or above 0.
    """
    found = _number(value, "a log-probability")
    if isnan(found) or found > ROUNDING:
        raise ValueError(f"wanted a log-probability, got {value!r}")
    return min(found, 0.0)


def decoded(token: str) -> str:
    """A token as text: byte-level ("ĠA") and SentencePiece's ("▁A", "<0x41>") forms are undone."""
    return _BYTE.sub(lambda byte: chr(int(byte[1], 16)), token).translate(_BLANKS)


def _number(value: Any, wanted: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"wanted {wanted}, got {value!r:.80}")
    return float(value)
