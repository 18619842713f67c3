"""Effective demonstrations in ChromaDB, and the embeddings that compare them."""

from lrgd.memory.demonstration import Demonstration, best_first
from lrgd.memory.embeddings import Embed, load_minilm
from lrgd.memory.store import DemonstrationMemory

__all__ = [
    "Demonstration",
    "DemonstrationMemory",
    "Embed",
    "best_first",
    "load_minilm",
]
