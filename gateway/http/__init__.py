"""The gateway's HTTP surface, on FastAPI.

Snapshots for terminals, the interface for operators, metrics for the site's monitoring.
"""
