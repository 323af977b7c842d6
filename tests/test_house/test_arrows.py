"""Who may import whom. The contracts are in pyproject.toml; here they are seen to bite."""

import ast
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.test_house.tree import PRODUCT, ROOT, VERIFIER, imports_of, modules, parse, short

RUNTIME: Final = {"clock", "durable", "settings", "logs", "systemd", "supervisor", "mqtt"}

# What would make `contract` more than bytes in and values out.
IMPURE: Final = {
    "asyncio",
    "io",
    "logging",
    "os",
    "pathlib",
    "selectors",
    "socket",
    "sqlite3",
    "subprocess",
    "tempfile",
    "threading",
    "time",
    "urllib",
}


def top_level_imports(tree: ast.Module) -> set[str]:
    names = {name.partition(".")[0] for name in imports_of(tree).values()}
    return names - {""}


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-logo", "--no-cache"]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


def test_runtime_holds_what_a_process_needs_and_nothing_else() -> None:
    inside = [path.relative_to(ROOT / "runtime") for path in modules("runtime")]
    found = {path.parts[0].removesuffix(".py") for path in inside} - {"__init__"}
    assert found == RUNTIME


def test_contract_neither_reads_nor_writes_nor_asks_for_the_time() -> None:
    faults = [
        f"{short(path)} imports {', '.join(sorted(impure))}"
        for path in modules("contract")
        if (impure := top_level_imports(parse(path)) & IMPURE)
    ]
    assert not faults, "\n".join(faults)


def test_the_auditors_program_needs_python_and_cryptography_alone() -> None:
    foreign = top_level_imports(parse(VERIFIER)) - sys.stdlib_module_names
    assert foreign <= {"cryptography"}


def test_the_arrows_hold() -> None:
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.fixture
def skeleton(tmp_path: Path) -> Path:
    """The packages of this checkout, empty, under the same contracts."""
    (tmp_path / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    named = ("hardware/personalise.py", "hardware/pcsc.py", "runtime/mqtt.py")
    for module in [*named, *(f"{name}/__init__.py" for name in (*PRODUCT, "benchmarks"))]:
        path = tmp_path / module
        path.parent.mkdir(exist_ok=True)
        path.touch()
    for package in ("gateway/store", "gateway/http", "hardware/virtual"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
    return tmp_path


def test_the_empty_house_breaks_no_contract(skeleton: Path) -> None:
    result = lint_imports(skeleton)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("module", "imported", "broken"),
    [
        ("gateway/ingest", "firmware_py", "Siblings stand on leaves"),
        ("contract/ids", "runtime", "Siblings stand on leaves"),
        ("hardware/piv", "contract", "Siblings stand on leaves"),
        ("gateway/app", "benchmarks", "Nothing in the product imports"),
        ("contract/journal", "tapover_verify", "Nobody of ours imports the auditor's"),
        ("hardware/readers", "smartcard.scard", "Only hardware.pcsc imports pyscard"),
        ("firmware_py/link", "aiomqtt", "Only runtime.mqtt imports"),
        ("firmware_py/app", "hardware.virtual", "neither personalises cards nor pretends"),
        ("firmware_py/kiosk", "fastapi", "FastAPI and uvicorn stay at the gateway"),
        ("firmware_py/kiosk", "uvicorn", "FastAPI and uvicorn stay at the gateway"),
        ("firmware_py/site", "h11", "Only the kiosk's HTTP imports its parser"),
        ("gateway/ingest", "sqlalchemy", "stay in the gateway's store"),
    ],
)
def test_each_arrow_that_points_the_wrong_way_is_named(
    skeleton: Path, module: str, imported: str, broken: str
) -> None:
    (skeleton / f"{module}.py").write_text(f"import {imported}\n")
    result = lint_imports(skeleton)
    assert result.returncode == 1
    # The report wraps long names, so blanks are made alike first.
    said = " ".join(result.stdout.partition("Broken contracts")[2].split())
    assert broken in said, result.stdout
