"""The debugging session in the browser."""
