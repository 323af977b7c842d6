"""The papers keep their form; each control of a hazard, and each *cannot*, has a test behind it."""

import ast
import re
from pathlib import Path
from typing import Final

import pytest

from tests.test_house.tree import ROOT, parse

ADRS: Final = sorted((ROOT / "docs" / "adr").glob("*.md"))
ADR_HEADINGS: Final = ["Status", "Context", "Decision", "Consequences"]
HAZARDS: Final = ROOT / "docs" / "hazards.md"
THREATS: Final = ROOT / "docs" / "threats.md"
THREAT_COLUMNS: Final = ["cannot", "why", "shown by"]
HAZARD_COLUMNS: Final = ["hazard", "cause", "effect", "control", "test"]


def rows_of(text: str, wanted: list[str]) -> list[dict[str, str]]:
    """The rows of every table in `text` that has these columns, by column."""
    rows: list[dict[str, str]] = []
    columns: list[str] = []
    for line in text.splitlines():
        if not line.lstrip().startswith("|"):
            columns = []
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not columns:
            columns = [cell.lower() for cell in cells]
        elif set(wanted) <= set(columns) and not set("".join(cells)) <= set("-: "):
            rows.append(dict(zip(columns, cells, strict=True)))
    return rows


def missing_tests(cell: str, root: Path) -> list[str]:
    """What is wrong with a cell that names tests as `path::name`, one or more of them."""
    named = re.findall(r"[\w./-]+\.py(?:::\w+)+", cell)
    if not named:
        return [f"no test is named in {cell!r}"]
    faults = []
    for name in named:
        file, *parts = name.split("::")
        path = root / file
        if not path.is_file():
            faults.append(f"{file} does not exist")
        elif not _defines(ast.parse(path.read_text(encoding="utf-8")), parts):
            faults.append(f"{name} does not exist")
    return faults


def _defines(tree: ast.Module | ast.ClassDef, parts: list[str]) -> bool:
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == parts[0] and len(parts) > 1:
            return _defines(node, parts[1:])
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and [node.name] == parts:
            return node.name.startswith("test")
    return False


def test_every_control_in_the_hazard_log_is_shown_by_a_test() -> None:
    rows = rows_of(HAZARDS.read_text(encoding="utf-8"), HAZARD_COLUMNS)
    assert rows, "docs/hazards.md has no table with the columns " + " | ".join(HAZARD_COLUMNS)
    faults = [
        f"{row['hazard']}: {fault}" for row in rows for fault in missing_tests(row["test"], ROOT)
    ]
    faults += [f"{row['hazard']}: no control" for row in rows if not row["control"]]
    assert not faults, "\n".join(faults)


def test_everything_that_a_compromised_terminal_cannot_do_is_shown_by_a_test() -> None:
    rows = rows_of(THREATS.read_text(encoding="utf-8"), THREAT_COLUMNS)
    assert len(rows) >= 7
    faults = [
        f"{row['cannot']}: {fault}"
        for row in rows
        for fault in missing_tests(row["shown by"], ROOT)
    ]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("cell", "right"),
    [
        ("`tests/test_a.py::test_it`", True),
        ("tests/test_a.py::TestB::test_c, `tests/test_a.py::test_it`", True),
        ("tests/test_a.py::test_other", False),
        ("tests/test_a.py::helper", False),
        ("tests/test_none.py::test_it", False),
        ("tests/test_a.py::test_it, tests/test_a.py::test_other", False),
        ("to be written", False),
        ("", False),
    ],
)
def test_a_control_without_a_test_is_seen(tmp_path: Path, cell: str, *, right: bool) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_a.py").write_text(
        "def helper(): ...\nasync def test_it(): ...\nclass TestB:\n    def test_c(self): ...\n"
    )
    assert (missing_tests(cell, tmp_path) == []) is right


def test_a_hazard_table_is_read_by_its_columns() -> None:
    text = (
        "| Hazard | Cause | Effect | Control | Test |\n|---|:--|--|--|--|\n| a | b | c | d | e |\n"
    )
    assert rows_of(text, HAZARD_COLUMNS) == [dict(zip(HAZARD_COLUMNS, "abcde", strict=True))]
    assert rows_of("| word | meaning |\n|---|---|\n| tap | a card |\n", HAZARD_COLUMNS) == []


@pytest.mark.parametrize("adr", ADRS, ids=lambda path: path.stem)
def test_every_decision_is_told_in_the_same_four_parts(adr: Path) -> None:
    text = adr.read_text(encoding="utf-8")
    assert re.match(rf"# {adr.name[:4]} \S", text)
    assert re.findall(r"(?m)^## (.+)$", text) == ADR_HEADINGS
    assert re.search(r"## Status\n\n(Proposed|Accepted|Superseded by \d{4})\b", text)


def test_decisions_are_numbered_without_a_gap() -> None:
    numbers = [path.name[:4] for path in ADRS]
    assert numbers == [f"{n:04}" for n in range(1, len(ADRS) + 1)]
    assert ADRS


def test_the_changelog_keeps_a_place_for_what_is_not_released() -> None:
    headings = re.findall(r"(?m)^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    assert headings[0] == "Unreleased"


def test_the_two_commands_of_the_readme_are_make_demo_and_make_test() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"(?ms)^```(?:sh|console)?\n(.*?)^```", readme)
    commands = [line.split("#")[0].strip() for line in blocks[0].splitlines()]
    assert [line for line in commands if line.startswith("make")][:2] == ["make demo", "make test"]


def test_every_module_says_what_it_is() -> None:
    # Ruff asks the product for this; a test module owes it too.
    tests = sorted((ROOT / "tests").rglob("*.py"))
    assert [path.name for path in tests if not ast.get_docstring(parse(path))] == []
