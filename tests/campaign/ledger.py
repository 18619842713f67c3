"""A model server that keeps a ledger: which request it answered how often, and with what."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from threading import Lock
from typing import Any

from tests.loopback import Answer, Sensible

MODES = ("listwise", "decision", "logprobs", "rerank", "likelihood")
FACTORY = Sensible(schema=True, reranks=True, top=20, uncased=False, echo_tokens=0)
"""Answers every ranking mode, by the hash of the request alone: a disturbed run can be compared
with an undisturbed one."""


def key_of(path: str, body: dict[str, Any]) -> str:
    """The key of a request in a run's cache of answers, see `lrgd.agents.endpoint.meter`."""
    sent = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
    return hashlib.sha256(b"\n".join([path.encode(), sent])).hexdigest()


class Ledger:
    """Stands before a server's `respond`, and counts what it answers."""

    def __init__(self, respond: Callable[[str, dict[str, Any]], Answer] = FACTORY) -> None:
        self._respond, self._lock = respond, Lock()
        self.answered: Counter[str] = Counter()
        """Key of a request -> how often it was answered: each time is paid."""
        self.said: dict[str, bytes] = {}
        """Key of a request -> the body of its answer."""

    def __call__(self, path: str, body: dict[str, Any]) -> Answer:
        answer = self._respond(path, body)
        key = key_of(path, body)
        with self._lock:
            self.answered[key] += 1
            told = answer[1]
            self.said[key] = told if isinstance(told, bytes) else json.dumps(told).encode()
        return answer

    def paid_again(self, keys: set[str]) -> int:
        """How many answers to these requests were not the first."""
        return sum(self.answered[key] - 1 for key in keys if self.answered[key])

    def forget(self) -> None:
        """Begin a new page."""
        self.answered, self.said = Counter(), {}
