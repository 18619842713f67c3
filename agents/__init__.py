"""What each node of the graphs does: prompts, generator, recommender, evaluator, guard."""

DISTRIBUTION = "lrgd"
"""Tells this package from openai-agents', which has the same import name."""
