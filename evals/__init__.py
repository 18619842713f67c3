"""Data sets, frozen bundles, metrics, statistics, methods, runs and reports."""
