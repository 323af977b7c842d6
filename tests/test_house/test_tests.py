"""What tests may not do: skip, or pass because they cannot fail."""

import ast
from typing import Final

import pytest

from tests.parts import PACKAGE_OF
from tests.test_house.tree import ROOT, dotted, imports_of, modules, parse, short

SKIPS: Final = {
    "SkipTest",
    "expectedFailure",
    "importorskip",
    "skip",
    "skipIf",
    "skipTest",
    "skipUnless",
    "skipif",
    "xfail",
}
OWNERS: Final = {"pytest", "unittest", "self", "mark", "request"}


def skips(tree: ast.Module) -> list[int]:
    imported = imports_of(tree)
    lines = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name):
            first, _, rest = dotted(node, imported).partition(".")
            if first in OWNERS and rest.rpartition(".")[2] in SKIPS:
                lines.append(node.lineno)
    return lines


def test_no_test_skips() -> None:
    faults = [
        f"{short(path)}:{line} skips; a missing part fails, see tests/parts.py"
        for path in modules("tests")
        for line in skips(parse(path))
    ]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    "source",
    [
        "import pytest\npytest.skip('no card')",
        "import pytest\n@pytest.mark.skipif(True, reason='')\ndef test(): ...",
        "import pytest\npytest.importorskip('smartcard')",
        "from pytest import skip as later\nlater('no card')",
        "import pytest\n@pytest.mark.xfail\ndef test(): ...",
        "import unittest\n@unittest.skip('')\ndef test(): ...",
    ],
)
def test_each_way_to_skip_is_seen(source: str) -> None:
    assert skips(ast.parse(source))


def test_set_up_installs_every_part_that_tests_ask_for() -> None:
    installed = (ROOT / "scripts" / "lib.sh").read_text(encoding="utf-8")
    forgotten = {package for package in PACKAGE_OF.values() if f'"{package}|' not in installed}
    assert not forgotten
