"""What the page says of the notes: their whole text, under the ticket that it was given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

# The longest notes, each character written as two, and the ticket.
MAX_TYPED_BYTES: Final = 2 * 4096 + 256


@dataclass(frozen=True, slots=True)
class Typed:
    """The notes as they stand on the page. Neither ticket nor text is for a log."""

    ticket: str = field(repr=False)
    text: str = field(repr=False)


def _typed(fields: dict[str, object]) -> Typed:
    ticket, text = fields.pop("ticket", None), fields.pop("text", None)
    if not isinstance(ticket, str) or not isinstance(text, str):
        raise ValueError("ticket and text are text")  # noqa: TRY004 - a sender's fault
    return Typed(ticket, text)


READERS: Final[dict[str, Callable[[dict[str, object]], Typed]]] = {"typed": _typed}
