"""Explanations of a ranking, and the equivalence with gradient descent, on real weights."""
