"""The `lrgd` command."""
