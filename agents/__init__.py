"""What each node of the graphs does: prompts, generator, recommender, evaluator, guard."""
