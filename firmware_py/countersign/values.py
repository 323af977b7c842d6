"""What an application asks to have countersigned, and the answer it gets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from contract.countersigning import CountersignResult, text_digest
from contract.directory import Entitlement
from contract.ids import Digest, SessionId
from firmware_py.card.records import SignedRecord


@dataclass(frozen=True, slots=True)
class Signed:
    """A second person's card has signed: everything that a third party checks it with."""

    record: SignedRecord
    by: Entitlement


Answer = Signed | CountersignResult | None
"""Null: it could not be asked (another is being asked, or nobody is named here)."""


@dataclass(frozen=True, slots=True, eq=False)
class Wanted:
    """Shown on the glass as it is; neither title nor text is for a log. Told apart by identity."""

    session: SessionId
    """In whose work it is asked."""
    title: str = field(repr=False)
    text: str = field(repr=False)
    document: Digest
    """Of what the application will attach the answer to."""
    pin: bool
    """Whether a tap is not enough: then 9A signs, after the PIN."""
    answer: Callable[[Answer], None] = field(repr=False)
    """Called once, in the consumer's thread."""

    @property
    def digest(self) -> Digest:
        """Of all that is shown, as the card's record names it: the title is read first."""
        return text_digest(f"{self.title}\n{self.text}")


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """Who asked went away."""

    wanted: Wanted
