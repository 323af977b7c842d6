"""docs/terminal.md leads a newcomer through the terminal: to places that are there, in order."""

import ast
import re
from collections.abc import Iterator

from tests.test_house.tree import ROOT, parse

PAGE = (ROOT / "docs" / "terminal.md").read_text(encoding="utf-8")


def named(tree: ast.Module) -> set[str]:
    kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds)}


def test_every_place_that_it_names_is_there() -> None:
    places = re.findall(r"`((?:firmware_py|hardware)/[\w/.]+)`(?::\s`(\w+)`)?", PAGE)
    assert len(places) > 25
    for path, name in places:
        assert (ROOT / path).exists(), path
        assert not name or name in named(parse(ROOT / path)), f"{path}: {name}"


def desks() -> Iterator[tuple[str, str]]:
    """(name, room) of each desk, as `firmware_py.desks` has them."""
    tree = parse(ROOT / "firmware_py" / "desks.py")
    homes: dict[str, str] = {}
    made: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            homes |= {alias.name: node.module for alias in node.names}
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple):
            variables, calls = ast.unparse(node.targets[0]), ast.unparse(node.value)
            made |= dict(
                zip(re.findall(r"\w+", variables), re.findall(r"(\w+)\(", calls), strict=True)
            )
    (returned,) = (node.value for node in ast.walk(tree) if isinstance(node, ast.Return))
    assert isinstance(returned, ast.Tuple)
    for one in returned.elts:
        kind = ast.unparse(one).split("(")[0]
        kind = made.get(kind, kind)
        module = homes[kind].replace(".", "/")
        text = (ROOT / f"{module}.py").read_text(encoding="utf-8")
        (name,) = re.findall(rf'(?ms)^class {kind}\b.*?^    name = "(\w+)"$', text)
        yield name, module.rsplit("/", 1)[0]


def test_the_desks_stand_there_in_the_order_in_which_they_are_asked() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `([\w/]+)` \|", PAGE, re.MULTILINE)
    assert rows == list(desks())
