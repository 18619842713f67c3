"""The model server: the client, what it counts, and what the server can do."""
