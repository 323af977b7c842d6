"""A second person's card under a text: what came of it, in the terminal's journal.

The card signed a `CountersignRecord` (`contract.tap`), which names by digest the text that the
kiosk showed and the document for which an application asked; its `card.outcome` has the signature.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Literal

from contract.ids import Digest, DigestField, SessionIdField
from contract.wire import Count, Part


class CountersignResult(StrEnum):
    """What came of an application's request."""

    SIGNED = "signed"
    CANCELLED = "cancelled"
    """By whoever stood there."""
    EXPIRED = "expired"
    """Nobody came in time."""
    WITHDRAWN = "withdrawn"
    """The application went away."""
    SESSION_ENDED = "session-ended"
    """The session for which it was asked was hidden before."""


class CountersignEnded(Part):
    """An application asked, and this came of it. Refused cards have outcomes of their own."""

    kind: Literal["countersign.ended"] = "countersign.ended"
    session: SessionIdField
    """In which it was asked: it stays as it was."""
    result: CountersignResult
    text: DigestField
    document: DigestField
    record: Count | None
    """Sequence of the countersign record; null unless `result` is `signed`."""


def text_digest(text: str) -> Digest:
    """As a countersign record names the text that was shown: SHA-256 of its UTF-8."""
    return Digest(hashlib.sha256(text.encode()).hexdigest())
