"""The methods that are compared, one file a method: each ranks a user's test task in its own way.

A new one is a `Method` in a file of its own, and a place in METHODS.
"""

from lrgd.evals.methods.ablations import ABLATIONS
from lrgd.evals.methods.base import Method, Tools
from lrgd.evals.methods.bm25 import BM25
from lrgd.evals.methods.icl import ICL
from lrgd.evals.methods.lrgd import LRGD
from lrgd.evals.methods.popularity import POPULARITY
from lrgd.evals.methods.random_floor import RANDOM
from lrgd.evals.methods.similarity import LAST_ITEM, MINILM
from lrgd.evals.methods.zero_shot import ZERO_SHOT

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
