"""A word in passing."""

from __future__ import annotations

from dataclasses import dataclass

from firmware_py.glass.view import Screen


@dataclass(frozen=True, slots=True)
class Notice:
    """A word in passing: a refusal, a card left behind. The session beneath it is untouched."""

    screen: Screen
    words: str
    reference: str | None = None
