"""In-context learning: the first demonstration that the model wrote, never optimised."""

from lrgd.evals.methods.base import prompted

ICL = prompted("ICL", "model", lambda record: record.first)
