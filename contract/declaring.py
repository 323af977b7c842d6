"""Downtime as one terminal of a ward says it to the others: the cards' word, not the terminal's.

Published under a terminal's own `downtime` topic, and said again while it stands. Each hearer
checks it by its own directory, policy and clock (DESIGN §5, ADR 0025); what it cannot check is as
if nobody had said it. A terminal loads this when somebody declares something.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from contract.wire import Base64, Part, Record


class SignedDowntime(Part):
    """One person's part."""

    record: Base64
    """The exact bytes of the event with the downtime record."""
    signature: Base64
    """By the card's 9A key."""
    heartbeat: Base64 | None = None
    """The envelope of the heartbeat that the record names: it was not signed before it."""


class DowntimeSaid(Record):
    """Two people declare it; one, that it is over."""

    # Two events of 4 KiB, two RSA-2048 signatures, two heartbeats and the terms, in base64.
    CAP: ClassVar[int] = 24 * 1024

    type: Literal["tapover/downtime-said/v1"] = "tapover/downtime-said/v1"
    terms: Base64
    """The bytes of the `DowntimeTerms` that each record names."""
    by: Annotated[tuple[SignedDowntime, ...], Field(min_length=1, max_length=2)]
