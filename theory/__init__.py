"""In-context recommendation as gradient descent on a dual model. Empty so far: issue 4."""
