"""Notices: what a server does that a person should know of, told once and counted."""

import logging
from collections import Counter

OVER_LIMIT = "answers over the token limit"
LOW_SHARE = "rankings whose letters held little of the probability"

_log = logging.getLogger("lrgd")


class Notices:
    """Counts occurrences by kind; the first of each kind is told on stderr, by Python's log."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def tell(self, kind: str, message: str) -> None:
        """Note one occurrence."""
        self.counts[kind] += 1
        if self.counts[kind] == 1:
            _log.warning("lrgd: %s", message)
