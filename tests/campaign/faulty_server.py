"""A server that is right but for faults at random: which, where and how often is the seed's."""

import json
from collections import Counter
from collections.abc import Set
from random import Random
from threading import Lock
from typing import Any

from tests.campaign.faults import FAULTS, Fault, asked_of
from tests.campaign.ledger import FACTORY, key_of
from tests.loopback import Answer

LASTING = 0.15
"""Of the faults after which the client asks again, those that stay while the server is ill."""
TWICE = {"content null", "content of blanks"}
"""Kinds that are asked for twice, not five times: what stays empty is a failed call."""


class FaultyServer:
    """Answers as `FACTORY`, while it is `ill` with faults; it may recover while it listens."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.spared: Set[str] = frozenset()
        """Keys of requests that are answered right: the probe's, which decide how a run asks."""
        self.recover()
        self.forget()

    def fall_ill(self, seed: str, rate: float, names: Set[str]) -> None:
        """From now on a share of the requests meets a fault.

        Args:
            names: the kinds that there may be.
        """
        self._seed, self._rate = seed, rate
        self._kinds = [fault for fault in FAULTS if fault.name in names]
        self._tried: Counter[str] = Counter()

    def recover(self) -> None:
        """From now on every answer is right."""
        self.fall_ill("", 0.0, frozenset())

    def forget(self) -> None:
        """Begin to count anew."""
        self.met: Counter[str] = Counter()
        """Kind -> how many answers were of it."""
        self.right: Counter[str] = Counter()
        """Key of a request -> how often it was answered right, or readable."""
        self.wrong: set[bytes] = set()
        """Bodies that are no answers."""
        self.unreadable: set[bytes] = set()
        """Bodies that hold what was not asked for: known to be so by whoever reads them."""

    def __call__(self, path: str, body: dict[str, Any]) -> Answer:
        right, key = FACTORY(path, body), key_of(path, body)
        fault = self._fault(path, body, key) if right[0] == 200 else None
        given = fault.spoil(right[1]) if fault else right
        with self._lock:
            if fault:
                self.met[fault.name] += 1
            if fault is None or fault.fate == "read":
                self.right[key] += 1
            else:
                bodies = self.unreadable if fault.fate == "stops" else self.wrong
                bodies.add(
                    given[1] if isinstance(given[1], bytes) else json.dumps(given[1]).encode()
                )
        return given

    def paid_again(self) -> int:
        """How many right answers, the probe's left out, were not the first."""
        return sum(n - 1 for key, n in self.right.items() if key not in self.spared)

    def _fault(self, path: str, body: dict[str, Any], key: str) -> Fault | None:
        draw = Random(f"{self._seed} {key}")
        # One half of the faults are those of such requests, the other those of any.
        wanted = asked_of(path, body) if draw.random() < 0.5 else "any"
        fitting = [fault for fault in self._kinds if fault.asked == wanted]
        if key in self.spared or draw.random() >= self._rate or not fitting:
            return None
        fault, lasts, times = draw.choice(fitting), draw.random() < LASTING, draw.randint(1, 2)
        with self._lock:
            self._tried[key] += 1
            tried = self._tried[key]
        if fault.name in TWICE:
            lasts, times = False, 1
        return fault if fault.fate != "again" or lasts or tried <= times else None
