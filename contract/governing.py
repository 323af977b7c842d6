"""The gateway's own journal: what it did, and what operators asked of it and came to."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from contract.ids import (
    DigestField,
    JournalIdField,
    OperatorIdField,
    TerminalIdField,
    WardIdField,
)
from contract.tap import DirectoryVersion
from contract.wire import Count, Part


class BodiesDeleted(Part):
    """Gateway's journal: event bodies removed under a retention rule; every proof still stands."""

    kind: Literal["bodies.deleted"] = "bodies.deleted"
    rule: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
    journal: JournalIdField
    first: Count
    count: Count


class GatewayStarted(Part):
    """Gateway's journal: it is there."""

    kind: Literal["gateway.started"] = "gateway.started"
    software: Annotated[str, Field(pattern=r"^[0-9A-Za-z.+-]{1,40}$")]


class DirectoryPublished(Part):
    """Gateway's journal: an operator's act, by digest of the signed request."""

    kind: Literal["directory.published"] = "directory.published"
    request: DigestField
    directory: DirectoryVersion


class Denial(StrEnum):
    """Why an operator's wish was not carried out."""

    MALFORMED = "malformed"
    NOT_BELIEVED = "not-believed"
    UNUSABLE = "unusable"
    CONFLICT = "conflict"
    SAME_PERSON = "same-person"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


class ChangeDenied(Part):
    """Gateway's journal: an operator's request, change set or approval came to nothing."""

    kind: Literal["change.denied"] = "change.denied"
    operator: OperatorIdField
    subject: DigestField
    """SHA-256 of what was sent: of the envelope where there was one, else of the whole."""
    reason: Denial


class ChangeHeld(Part):
    """Gateway's journal: a change stopped at the guard and waits for a second operator."""

    kind: Literal["change.held"] = "change.held"
    operator: OperatorIdField
    subject: DigestField
    people: Count
    """People it would end, with those that its operator ended lately."""
    positions: Count
    """Positions it would leave nobody in."""
    leads: Count
    """Wards it would leave without a lead."""


class ChangeDecided(Part):
    """Gateway's journal: a second operator's word, or nobody's in time."""

    kind: Literal["change.decided"] = "change.decided"
    subject: DigestField
    result: Literal["approved", "refused", "expired"]
    approval: DigestField | None
    """Digest of the approval's envelope; null when it expired."""


class PolicyUnserved(Part):
    """Gateway's journal: a terminal's readers cannot serve its ward's policy any more, or can.

    No PIN can be given there. By its own word, which is unsigned: nothing is decided by it. What
    stands at a gateway's start is told anew.
    """

    kind: Literal["policy.unserved"] = "policy.unserved"
    terminal: TerminalIdField
    ward: WardIdField
    state: Literal["begun", "ended"]


class LockFlagged(Part):
    """Gateway's journal: a card was locked at once, and with it a position or a ward's last lead.

    A lost card waits for nobody; that nobody is left is for somebody to look at.
    """

    kind: Literal["lock.flagged"] = "lock.flagged"
    request: DigestField
    positions: Count
    leads: Count
