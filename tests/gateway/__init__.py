"""The gateway, on a real SQLite file."""
