"""Starts and stops model servers, and holds the pocket model."""
