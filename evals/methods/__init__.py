"""The methods that are compared: each ranks a user's test task in its own way.

Those with a language model have a file each. `floors.py` holds those without that read titles and
counts, `fused.py` those that know who bought what. A new one is a `Method` in a file of its own,
and a place in METHODS.
"""

from lrgd.evals.methods.ablations import ABLATIONS
from lrgd.evals.methods.base import Method, Need, Question, Resources
from lrgd.evals.methods.floors import BM25, LAST_ITEM, MINILM, POPULARITY, RANDOM
from lrgd.evals.methods.fused import BM25_ITEM_KNN, BM25_POPULARITY, FUSED, ITEM_KNN
from lrgd.evals.methods.icl import ICL
from lrgd.evals.methods.lrgd import LRGD
from lrgd.evals.methods.prior import WITHOUT
from lrgd.evals.methods.zero_shot import SHARED_PROMPT, ZERO_SHOT

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        *(RANDOM, POPULARITY, LAST_ITEM, BM25, MINILM),
        *(ITEM_KNN, BM25_POPULARITY, BM25_ITEM_KNN, FUSED),
        *(ZERO_SHOT, SHARED_PROMPT, ICL, LRGD),
        *WITHOUT,
        *ABLATIONS,
    )
}
"""By name, in the order in which they are shown."""

FLOORS = tuple(name for name, method in METHODS.items() if method.kind == "floor")
"""Those that need no language model: they stand in every table."""

MAIN = tuple(name for name, method in METHODS.items() if method.kind != "ablation")

__all__ = ["FLOORS", "MAIN", "METHODS", "Method", "Need", "Question", "Resources"]
