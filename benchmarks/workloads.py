"""Every benchmark by name. A module is imported when its benchmark is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Final

from benchmarks.harness.workload import Workload

MODULES: Final = {
    "sign_on": "benchmarks.sign_on",
    "usable": "benchmarks.usable",
    "roaming": "benchmarks.roaming",
    "ingest": "benchmarks.ingest.workload",
    "footprint": "benchmarks.footprint",
}
"""Each module has ``WORKLOAD``, an instance."""


def workloads(names: Iterable[str] = MODULES) -> list[Workload]:
    """The named ones, in the order of the page. Raises KeyError for a name nobody knows."""
    if unknown := set(names) - MODULES.keys():
        raise KeyError(f"no benchmark named {', '.join(sorted(unknown))}")
    wanted = set(names)
    return [import_module(at).WORKLOAD for name, at in MODULES.items() if name in wanted]
