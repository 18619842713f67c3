"""The methods that are compared, one file a method: each ranks a user's test task in its own way.

A new one is a `Method` in a file of its own, and a place in METHODS.
"""

from evals.methods.ablations import ABLATIONS
from evals.methods.base import Method, Tools
from evals.methods.bm25 import BM25
from evals.methods.icl import ICL
from evals.methods.lrgd import LRGD
from evals.methods.popularity import POPULARITY
from evals.methods.random_floor import RANDOM
from evals.methods.similarity import LAST_ITEM, MINILM
from evals.methods.zero_shot import ZERO_SHOT

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        *(RANDOM, POPULARITY, LAST_ITEM, BM25, MINILM),
        *(ZERO_SHOT, ICL, LRGD),
        *ABLATIONS,
    )
}
"""By name, in the order in which they are shown."""

FLOORS = tuple(name for name, method in METHODS.items() if method.kind == "floor")
"""Those that need no language model: they stand in every table."""

MAIN = tuple(name for name, method in METHODS.items() if method.kind != "ablation")

__all__ = ["FLOORS", "MAIN", "METHODS", "Method", "Tools"]
