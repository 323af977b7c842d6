"""Administration by two people: change sets, approvals, and what the guard counts (DESIGN §6).

- A *change set* is one wish in many requests: its envelope names them all, so that the whole is
  judged before any of it is carried out.
- What would end too much waits for an *approval*: another operator's signature over the digest of
  the request's, or the change set's, envelope. It holds for that digest alone and for a time.
- A request, a change set and an approval are leaves of the evidence log.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field, model_validator

from contract.directory import Entitlement, Position, Status
from contract.ids import (
    DigestField,
    HolderIdField,
    Nonce,
    OperatorIdField,
    PositionIdField,
    SiteIdField,
    WardId,
    WardIdField,
)
from contract.signing import PayloadType, Statement
from contract.tap import DirectoryVersion
from contract.wire import Count, Record, UnixMs

# 500 requests of 500 entries: more than any site's staff, and 45,000 bytes of a leaf's 65,535.
MAX_SET_REQUESTS: Final = 500
# A second operator answers within a working day, or the first one asks again.
APPROVAL_MS: Final = 24 * 3600 * 1000
# More than so many people ended, or more than one in so many, is no everyday change.
MOST_ENDED: Final = 20
ONE_IN: Final = 50
# What a person looks through before saying yes; the rest is in the difference itself.
MAX_FINDINGS: Final = 100
LEAD_SUFFIX: Final = "-lead"
"""A position of this ending leads a ward."""


class Decision(StrEnum):
    """What the second operator says."""

    APPROVE = "approve"
    REFUSE = "refuse"


class ChangeSet(Statement):
    """An operator's requests that are one wish; they name each entry once."""

    PAYLOAD_TYPE: ClassVar[PayloadType] = PayloadType.CHANGE_SET

    type: Literal["tapover/change-set/v1"] = "tapover/change-set/v1"
    site: SiteIdField
    operator: OperatorIdField
    nonce: Nonce
    issued_ms: UnixMs
    base: DirectoryVersion
    """The version that the operator saw; what others changed since is not changed by this."""
    requests: Annotated[tuple[DigestField, ...], Field(min_length=1, max_length=MAX_SET_REQUESTS)]
    """Digests of the requests' envelopes, in the order in which they are carried out."""


class Approval(Statement):
    """A second operator's word on what waits."""

    PAYLOAD_TYPE: ClassVar[PayloadType] = PayloadType.APPROVAL

    type: Literal["tapover/approval/v1"] = "tapover/approval/v1"
    site: SiteIdField
    operator: OperatorIdField
    subject: DigestField
    """Digest of the envelope of the request or change set."""
    decision: Decision
    issued_ms: UnixMs
    until_ms: UnixMs
    """Not believed from then on."""

    @model_validator(mode="after")
    def _bounded(self) -> Approval:
        if not self.issued_ms < self.until_ms <= self.issued_ms + APPROVAL_MS:
            raise ValueError("an approval holds for a day at most")
        return self


def led_by(position: Position) -> frozenset[WardId]:
    """The wards that a position leads: its areas, or the ward that its id begins with.

    `ed-lead` without areas leads `ed`.
    """
    if not position.id.endswith(LEAD_SUFFIX):
        return frozenset()
    return frozenset(position.areas) or frozenset({WardId(position.id.removesuffix(LEAD_SUFFIX))})


FINAL: Final = frozenset({Status.REVOKED, Status.LOST})
"""A card of these never serves again: suspension alone can be lifted."""


def is_lock(before: Entitlement, after: Entitlement) -> bool:
    """Whether nothing is changed but that the card is suspended, or declared lost."""
    same = before.model_copy(update={"status": after.status, "salt": after.salt}) == after
    return same and after.status in (Status.SUSPENDED, Status.LOST)


class Stop(StrEnum):
    """Why the guard stops a change."""

    PEOPLE = "people"
    """More people than `MOST_ENDED`."""
    SHARE = "share"
    """More than one person, and more than one in `ONE_IN` of the site's."""
    POSITION = "position"
    """Nobody is left in a position that more than one person held."""
    LEAD = "lead"
    """A ward is left without a lead."""
    SPARES = "spares"
    """More spares than `MOST_ENDED`, or several that are the last."""
    TERMINALS = "terminals"
    """More terminals retired than `MOST_ENDED`, or several that are a ward's last."""
    ROLES = "roles"
    """A policy shuts people out of a ward, as many as would stop if they were ended."""


class Findings(Record):
    """What a change would end, as the guard counted it; lists are cut at `MAX_FINDINGS`.

    An answer of the gateway's, unsigned: whoever approves makes the difference himself.
    """

    type: Literal["tapover/findings/v1"] = "tapover/findings/v1"
    stops: Annotated[tuple[Stop, ...], Field(max_length=7)] = ()
    people: Count = 0
    """People whom this would end."""
    counted: Count = 0
    """With those whom its operator ended within a day, or anybody within the hour, alone."""
    site: Count = 0
    """The site's people, where they had to be counted."""
    names: Annotated[tuple[HolderIdField, ...], Field(max_length=MAX_FINDINGS)] = ()
    positions: Annotated[tuple[PositionIdField, ...], Field(max_length=MAX_FINDINGS)] = ()
    leads: Annotated[tuple[WardIdField, ...], Field(max_length=MAX_FINDINGS)] = ()
    spares: Count = 0
    """Spares that would serve no more."""
    terminals: Count = 0
    """Terminals that would be retired."""
    shut_out: Count = 0
    """People who could not sign on any more in a ward whose policy changes."""
