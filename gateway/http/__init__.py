"""The gateway's HTTP surface: the only place that imports FastAPI.

Snapshots for terminals, the interface for operators, metrics for the site's monitoring.
"""
