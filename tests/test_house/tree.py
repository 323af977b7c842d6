"""This checkout as the house rules see it: our modules, and the files that git tracks."""

from __future__ import annotations

import ast
import functools
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).resolve().parents[2]

PRODUCT: Final = ("contract", "firmware_py", "gateway", "hardware", "provisioning", "runtime")
VERIFIER: Final = ROOT / "tapover_verify.py"


def modules(*folders: str) -> list[Path]:
    """Every Python file below the named folders of the checkout, in a stable order."""
    return sorted(
        path
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        if "__pycache__" not in path.parts
    )


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def short(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@functools.cache
def tracked() -> tuple[Path, ...]:
    """What git tracks here and what is on the disk now. Raises if this is no checkout."""
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    return tuple(path for name in listed if name and (path := ROOT / name).is_file())


def tracked_texts() -> Iterator[tuple[Path, str]]:
    """Every tracked file that is text, with its text."""
    for path in tracked():
        try:
            yield path, path.read_bytes().decode("utf-8")
        except UnicodeDecodeError:
            continue


def imports_of(tree: ast.Module) -> dict[str, str]:
    """Local name -> dotted name of everything that a module imports, at whatever depth."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                local = alias.asname or alias.name.partition(".")[0]
                names[local] = alias.name if alias.asname else local
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module or ''}.{alias.name}"
    return names


def dotted(node: ast.expr, imported: dict[str, str]) -> str:
    """`dt.datetime.now` as the module's imports resolve it; empty if it is no plain name."""
    if isinstance(node, ast.Name):
        return imported.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        base = dotted(node.value, imported)
        return f"{base}.{node.attr}" if base else ""
    return ""
