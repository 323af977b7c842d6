"""A session that moves: from a tap here to the screen covered there, and her work here."""

from __future__ import annotations

from benchmarks.roaming.workload import Roaming

WORKLOAD = Roaming()
