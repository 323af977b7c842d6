"""The vectors of a session that moves: handover, taken, and what journals say of it and of PINs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from contract import events, move
from contract.bedside import SessionKind
from contract.ids import Digest, Guid, HolderId, KeyId, PositionId, SessionId, SiteId, WardId
from contract.ids import TerminalId as Terminal
from contract.moving import MovedState, MoveReason, MoveRefused, PinHeard, SessionMoved
from contract.policy import GraceScope, Policy
from contract.signing import Signer, sha256

SITE, HERE, THERE = SiteId("st-elsewhere"), Terminal("bay-1"), Terminal("bay-2")
WARD, HOLDER = WardId("ed"), HolderId("h-amal")
NOW: Final = 1_767_225_600_000
RECORD, SESSION = Digest("7a" * 32), SessionId("5e" * 16)


def vectors(batch: Signer, event: Callable[[int, events.Detail], bytes]) -> dict[str, bytes]:
    """`batch` is the terminal's; the sealed state is a placeholder, since sealing is by chance."""
    return {
        "session-handover": move.SessionHandover(
            site=SITE,
            terminal=HERE,
            to=THERE,
            record=RECORD,
            session=SESSION,
            holder=HOLDER,
            position=PositionId("ed-nurse"),
            ground=SessionKind.ORDINARY,
            state=sha256(b"a sealed state"),
            unsaved=False,
            until_ms=NOW + 14_400_000,
        )
        .seal(batch)
        .to_bytes(),
        "state-taken": move.StateTaken(
            site=SITE, terminal=HERE, origin=THERE, record=RECORD, session=SESSION
        )
        .seal(batch)
        .to_bytes(),
        "policy-grace-on-the-ward": Policy(
            ward=WARD,
            salt="5a" * 16,
            grace_scope=GraceScope.WARD,
            grace_approved_by=HolderId("h-elena"),
        ).to_bytes(),
        "event-session-moved": event(
            60,
            SessionMoved(
                way="out",
                session=SESSION,
                holder=HOLDER,
                terminal=THERE,
                record=RECORD,
                state=MovedState.SENT,
            ),
        ),
        "event-move-refused": event(
            61,
            MoveRefused(
                terminal=THERE, what="request", reason=MoveReason.NOT_BELIEVED, subject=RECORD
            ),
        ),
        "event-pin-heard": event(
            62,
            PinHeard(
                terminal=THERE,
                ward=WARD,
                record=RECORD,
                guid=Guid("6a" * 16),
                holder=HOLDER,
                key=KeyId("9a" * 32),
                since_ms=NOW,
                since_monotonic_ms=1000,
            ),
        ),
    }
