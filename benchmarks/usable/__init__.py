"""Tap to usable: from the card in the field to the first key in one's own work, in a browser."""

from __future__ import annotations

from benchmarks.usable.workload import Usable

WORKLOAD = Usable()
