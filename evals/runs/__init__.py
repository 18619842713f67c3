"""Runs over the users of a bundle: their folder, optimisation, evaluation, suites."""
