"""A module is read at one sitting, a function on one screen."""

import ast
from pathlib import Path
from typing import Final

import pytest

from tests.test_house.tree import PRODUCT, VERIFIER, modules, parse, short

# About 300 lines are aimed at; the cap leaves room for one good reason.
MODULE_LINES: Final = 400
FUNCTION_LINES: Final = 60
# The auditor reads one file that imports nothing of ours: that is its promise, so it is longer.
VERIFIER_LINES: Final = 1200

OURS: Final = modules(*PRODUCT, "benchmarks", "tests")


def long_functions(tree: ast.Module) -> list[str]:
    return [
        f"{node.name} (line {node.lineno}): {lines} lines"
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES
    ]


def too_long(path: Path, cap: int) -> str | None:
    count = len(path.read_text(encoding="utf-8").splitlines())
    return f"{short(path)}: {count} lines, the cap is {cap}" if count > cap else None


def test_every_module_can_be_read_at_one_sitting() -> None:
    faults = [fault for path in OURS if (fault := too_long(path, MODULE_LINES))]
    assert not faults, "\n".join(faults)


def test_every_function_fits_on_a_screen() -> None:
    faults = [
        f"{short(path)}: {fault}"
        for path in [*OURS, VERIFIER]
        for fault in long_functions(parse(path))
    ]
    assert not faults, "\n".join(faults)


def test_the_verifier_is_one_file_that_an_auditor_can_read() -> None:
    assert too_long(VERIFIER, VERIFIER_LINES) is None


@pytest.mark.parametrize(("lines", "found"), [(FUNCTION_LINES, 0), (FUNCTION_LINES + 1, 1)])
def test_the_length_rule_counts_from_def_to_the_last_line(lines: int, found: int) -> None:
    source = "def f():\n" + "    pass\n" * (lines - 1)
    assert len(long_functions(ast.parse(source))) == found
