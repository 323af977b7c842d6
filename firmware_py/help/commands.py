"""What the page asks of the help desk besides `spare`, `newpin` and digits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

# As long as the longest name that the directory has.
MAX_TEXT: Final = 80


@dataclass(frozen=True, slots=True)
class FindPerson:
    """Who is to have a spare: initials, a part of the name, or the staff number.

    Empty: somebody is about to say, and the form is wanted.
    """

    text: str


def _find_person(fields: dict[str, object]) -> FindPerson:
    text = fields.pop("text", None)
    if not isinstance(text, str) or len(text) > MAX_TEXT or not text.isprintable():
        raise ValueError(f"text is text of at most {MAX_TEXT} letters")
    return FindPerson(" ".join(text.split()))


READERS: Final[dict[str, Callable[[dict[str, object]], FindPerson]]] = {
    "find_person": _find_person,
}
