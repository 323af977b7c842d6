"""Identifiers: opaque, bounded, safe in a topic, a path and a certificate name.

Every identifier that crosses a wire has one spelling. Binary ones are lower-case hexadecimal, so
that two different texts never name the same thing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, NewType

from pydantic import StringConstraints

SiteId = NewType("SiteId", str)
TerminalId = NewType("TerminalId", str)
WardId = NewType("WardId", str)
HolderId = NewType("HolderId", str)
PositionId = NewType("PositionId", str)
SessionId = NewType("SessionId", str)
OperatorId = NewType("OperatorId", str)
JournalId = NewType("JournalId", str)
BootId = NewType("BootId", str)
Guid = NewType("Guid", str)
KeyId = NewType("KeyId", str)
Digest = NewType("Digest", str)

MAX_NAME = 48
# A certificate's CN, an MQTT client id, a topic level and a file name at once: no '/', '+', '#',
# '.', blank.
_NAME = StringConstraints(pattern=r"^[a-z0-9](?:[a-z0-9-]{0,46}[a-z0-9])?$")
_HEX16 = StringConstraints(pattern=r"^[0-9a-f]{32}$")
_HEX32 = StringConstraints(pattern=r"^[0-9a-f]{64}$")

SiteIdField = Annotated[SiteId, _NAME]
TerminalIdField = Annotated[TerminalId, _NAME]
WardIdField = Annotated[WardId, _NAME]
HolderIdField = Annotated[HolderId, _NAME]
PositionIdField = Annotated[PositionId, _NAME]
OperatorIdField = Annotated[OperatorId, _NAME]
SessionIdField = Annotated[SessionId, _HEX16]
JournalIdField = Annotated[JournalId, _HEX16]
BootIdField = Annotated[BootId, _HEX16]
GuidField = Annotated[Guid, _HEX16]
KeyIdField = Annotated[KeyId, _HEX32]
DigestField = Annotated[Digest, _HEX32]
Salt = Annotated[str, _HEX16]
Nonce = Annotated[str, _HEX32]

NIL_GUID = Guid("0" * 32)
"""What a card that was never given a GUID answers; no entitlement may carry it."""


def is_name(text: str) -> bool:
    """Whether `text` may stand as a site, terminal, ward, holder, position or operator id."""
    return (
        1 <= len(text) <= MAX_NAME
        and all(c.isascii() and (c.islower() or c.isdigit() or c == "-") for c in text)
        and text[0] != "-"
        and text[-1] != "-"
    )


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """A directory version: the key epoch first, then the count within it (DESIGN §6)."""

    epoch: int
    n: int

    def __str__(self) -> str:
        return f"{self.epoch}.{self.n}"

    def next_in(self, epoch: int) -> Version:
        """The version that a change makes of this one under the keys of `epoch`."""
        return Version(epoch, self.n + 1 if epoch == self.epoch else 1)
