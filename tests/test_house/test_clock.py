"""Time is an argument: only `runtime.clock` (and the virtual card for itself) asks the machine."""

import ast
from typing import Final

import pytest

from tests.test_house.tree import PRODUCT, ROOT, dotted, imports_of, modules, parse, short

CLOCKS: Final = {
    ROOT / "runtime" / "clock.py",
    # A card is another machine with a time of its own, and `hardware` cannot import `runtime`.
    ROOT / "hardware" / "virtual" / "pace.py",
}
CALLS: Final = {
    "asyncio.get_event_loop.time",
    "asyncio.get_running_loop.time",
    "datetime.date.today",
    "datetime.datetime.now",
    "datetime.datetime.today",
    "datetime.datetime.utcnow",
    "time.clock_gettime",
    "time.clock_gettime_ns",
    "time.gmtime",
    "time.localtime",
    "time.monotonic",
    "time.monotonic_ns",
    "time.perf_counter",
    "time.perf_counter_ns",
    "time.time",
    "time.time_ns",
}


def clock_calls(tree: ast.Module) -> list[int]:
    """Lines that name a clock, called at once or handed on (a default argument, say)."""
    imported = imports_of(tree)
    lines = {
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute | ast.Name)
        if dotted(node, imported) in CALLS or _is_loop_time(node, imported)
    }
    return sorted(lines)


def _is_loop_time(node: ast.expr, imported: dict[str, str]) -> bool:
    if not (isinstance(node, ast.Attribute) and node.attr == "time"):
        return False
    owner = node.value.func if isinstance(node.value, ast.Call) else node.value
    return dotted(owner, imported).lower().endswith("loop")


def test_no_module_of_the_product_asks_for_the_time_itself() -> None:
    faults = [
        f"{short(path)}:{line} names a clock; take `now` as an argument"
        for path in modules(*PRODUCT)
        if path not in CLOCKS
        for line in clock_calls(parse(path))
    ]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    "source",
    [
        "import time\ntime.time()",
        "import time as t\nnow = t.monotonic_ns",
        "from time import perf_counter as tick\ntick()",
        "import datetime\ndatetime.datetime.now()",
        "from datetime import datetime\ndatetime.now()",
        "from datetime import date\ndate.today()",
        "import asyncio\nasyncio.get_running_loop().time()",
        "class A:\n    def f(self):\n        return self._loop.time()",
        "def f(loop):\n    return loop.time()",
    ],
)
def test_each_way_to_a_clock_is_seen(source: str) -> None:
    assert clock_calls(ast.parse(source))


@pytest.mark.parametrize(
    "source",
    [
        "def f(clock):\n    return clock.monotonic_ns()",
        "from datetime import datetime\ndatetime.fromisoformat('2026-01-01')",
        "import time\ntime.sleep(1)",
    ],
)
def test_a_clock_that_is_handed_in_is_no_fault(source: str) -> None:
    assert not clock_calls(ast.parse(source))
