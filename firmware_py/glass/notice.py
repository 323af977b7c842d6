"""A word in passing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from firmware_py.glass.view import Screen

REFUSALS: Final = frozenset({Screen.REFUSED, Screen.OFFER})
"""Somebody did not get what she wanted: she can ring the helpdesk about it."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A word in passing: a refusal, a card left behind. The session beneath it is untouched.

    No refusal is without a reference, by which somebody who can read the log finds what it was.
    """

    screen: Screen
    words: str
    reference: str | None = None

    def __post_init__(self) -> None:
        """Refuse a refusal that nobody could name: our own bug."""
        if self.screen in REFUSALS and not self.reference:
            raise ValueError(f"no reference: {self.words}")
