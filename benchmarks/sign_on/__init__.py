"""Sign-on: from the card in the field to work on the glass, beside what a hospital has today."""

from __future__ import annotations

from benchmarks.sign_on.workload import SignOn

WORKLOAD = SignOn()
