"""The methods that are compared, one file a method: each ranks a user's test task in its own way.

A new one is a function of `Method`'s type in a file of its own, and a line in METHODS.
"""

from evals.methods.base import Method, Tools
from evals.methods.bm25 import bm25
from evals.methods.icl import icl
from evals.methods.lrgd import lrgd
from evals.methods.random_floor import random_floor
from evals.methods.similarity import last_item, minilm
from evals.methods.zero_shot import zero_shot

METHODS: dict[str, Method] = {
    "random": random_floor,
    "last item": last_item,
    "BM25": bm25,
    "MiniLM cosine": minilm,
    "zero-shot": zero_shot,
    "ICL": icl,
    "LRGD": lrgd,
}
"""In the order in which they are shown."""

FLOORS = ("random", "last item", "BM25", "MiniLM cosine")
"""Those that need no language model."""

REFERENCE = "zero-shot"

__all__ = ["FLOORS", "METHODS", "REFERENCE", "Method", "Tools"]
