"""Effective demonstrations in ChromaDB, and the embeddings that compare them."""

from memory.demonstration import Demonstration, as_tuples, best_first
from memory.embeddings import Embed, load_minilm
from memory.store import DemonstrationMemory

__all__ = [
    "Demonstration",
    "DemonstrationMemory",
    "Embed",
    "as_tuples",
    "best_first",
    "load_minilm",
]
