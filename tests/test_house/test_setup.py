"""Set-up says what it needs and how to get it; the quick run says what it left out."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_house.tree import ROOT


@pytest.fixture
def bare_machine(tmp_path: Path) -> Path:
    """A PATH with nothing of ours installed, an ordinary user, no sudo, and an apt-get that works.

    Each stub writes what it was asked into `asked`, so that nothing of this machine is touched.
    """
    path = tmp_path / "bin"
    path.mkdir()
    asked = tmp_path / "asked"
    stubs = {
        "apt-get": f'echo "apt-get $*" >>{asked}',
        "dpkg-query": "exit 1",
        "id": "echo 1000",
    }
    for name, body in stubs.items():
        (path / name).write_text(f"#!/bin/sh\n{body}\n")
        (path / name).chmod(0o755)
    return path


def install_parts(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/bash", "-euc", "source scripts/lib.sh; install_debian_parts"],
        cwd=ROOT,
        env={"PATH": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_root_or_sudo_set_up_ends_with_the_command_for_somebody_who_has_it(
    bare_machine: Path,
) -> None:
    result = install_parts(bare_machine)
    assert result.returncode == 1
    assert result.stdout == ""
    command = result.stderr.splitlines()[-1].strip()
    assert command.startswith("apt-get update && apt-get install -y")
    assert "pcscd" in command.split()
    assert not (bare_machine.parent / "asked").exists()


def test_with_sudo_set_up_says_what_and_why_and_brings_the_lists_up_to_date_first(
    bare_machine: Path,
) -> None:
    (bare_machine / "sudo").write_text('#!/bin/sh\nexec "$@"\n')
    (bare_machine / "sudo").chmod(0o755)
    shutil.copy("/usr/bin/env", bare_machine)
    result = install_parts(bare_machine)
    assert result.returncode == 0, result.stderr
    assert "the PC/SC service that talks to card readers" in result.stderr
    update, install = (bare_machine.parent / "asked").read_text().splitlines()
    assert update.startswith("apt-get update")
    assert install.startswith("apt-get install -y")
    assert "vsmartcard-vpcd" in install.split()


def test_a_failed_install_ends_with_its_command_and_not_with_a_python_error(
    bare_machine: Path,
) -> None:
    (bare_machine / "apt-get").write_text("#!/bin/sh\nexit 100\n")
    (bare_machine / "id").write_text("#!/bin/sh\necho 0\n")
    result = install_parts(bare_machine)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].strip().startswith("apt-get update && ")


SAMPLE = """
import pytest

def test_quick(): pass

@pytest.mark.full
def test_slow(): pass
"""


@pytest.mark.parametrize(
    ("options", "passed", "said"),
    [
        ([], "1 passed, 1 deselected", True),
        (["--full"], "2 passed", False),
    ],
)
def test_the_quick_run_counts_the_tests_it_left_out(
    tmp_path: Path, options: list[str], passed: str, *, said: bool
) -> None:
    (tmp_path / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    (tmp_path / "tests").mkdir()
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path / "tests")
    (tmp_path / "tests" / "test_sample.py").write_text(SAMPLE)
    result = subprocess.run(
        [sys.executable, "-m", "pytest", *options],
        cwd=tmp_path,
        env=os.environ | {"PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert passed in result.stdout, result.stdout + result.stderr
    line = "1 full-only tests left out; make test FULL=1 runs them."
    assert (line in result.stdout) is said
