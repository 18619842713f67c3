"""The debugging session in the terminal."""
