"""Every sentence that can stand on the glass, found in the sources that say it.

``python -m tests.kiosk_fixture.sentences`` writes the English catalogue anew (the sentences, each
with where it is said), and prints what the Welsh one lacks or has too much.
"""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = ROOT / "firmware_py" / "kiosk" / "page"
ENGLISH: Final = PAGE / "en.json"
WELSH: Final = PAGE / "cy.json"
_ALSO: Final = ("enrolment/progress.py", "help/errand.py", "help/screens.py")
"""Modules that say sentences and have another name than words."""
# Words of one kind with the page's own: t("…"), msg("…"), data-t="…".
_SAID: Final = re.compile(r'\b(?:t|msg)\(\s*"((?:[^"\\]|\\.)*)"')
_MARKED: Final = re.compile(r'data-t(?:-label)?="([^"]*)"')
# Codes and names of fields are no sentences: those begin with a capital and have more than one.
_SENTENCE: Final = re.compile(r"[A-Z](?:.*[a-z].*)")


def of_the_terminal() -> dict[str, str]:
    """What the daemon says, by sentence: the module that says it."""
    firmware = ROOT / "firmware_py"
    modules = sorted([*firmware.rglob("*words.py"), *(firmware / name for name in _ALSO)])
    found: dict[str, str] = {}
    for module in modules:
        for node in ast.parse(module.read_text(encoding="utf-8")).body:
            for sentence in _in(getattr(node, "value", None)):
                if _SENTENCE.fullmatch(sentence) and not isinstance(node, ast.Expr):
                    found.setdefault(sentence, module.relative_to(ROOT).as_posix())
    return found


def _in(node: ast.expr | None) -> list[str]:
    """The texts of a constant, of a table's values, of a row of either."""
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.Dict(values=values) | ast.Tuple(elts=values) | ast.List(elts=values):
            return [text for value in values for text in _in(value)]
        case _:
            return []


def of_the_page() -> dict[str, str]:
    """What the page says by itself, by sentence: the file that says it."""
    found: dict[str, str] = {}
    for path in sorted([PAGE / "index.html", *(PAGE / "modules").glob("*.js")]):
        text = path.read_text(encoding="utf-8")
        pattern = _MARKED if path.suffix == ".html" else _SAID
        for sentence in pattern.findall(text):
            found.setdefault(json.loads(f'"{sentence}"'), path.relative_to(ROOT).as_posix())
    return found


def everything() -> dict[str, str]:
    """Every sentence, sorted."""
    return dict(sorted({**of_the_terminal(), **of_the_page()}.items()))


def catalogue(path: Path) -> dict[str, str]:
    """A catalogue as it stands. Raises ValueError for a key that is there twice."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in pairs}) != len(pairs):
            raise ValueError(f"{path.name} has a sentence twice")
        return dict(pairs)

    read: dict[str, str] = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=once)
    return read


def main() -> None:
    """As the module's docstring says."""
    said = everything()
    ENGLISH.write_text(json.dumps(said, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    welsh = catalogue(WELSH) if WELSH.exists() else {}
    for sentence in said.keys() - welsh.keys():
        print("wants Welsh:", json.dumps(sentence, ensure_ascii=False))
    for sentence in welsh.keys() - said.keys():
        print("said nowhere:", json.dumps(sentence, ensure_ascii=False))


if __name__ == "__main__":
    main()
