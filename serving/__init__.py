"""Model servers: what is served, and how it is started and stopped."""
