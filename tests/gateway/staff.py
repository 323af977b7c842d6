"""A hospital's staff as entitlements, and a second operator; for the guard's tests."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence

from contract.administration import Approval, ChangeSet, Decision
from contract.directory import Entitlement, Entry, Position, Status
from contract.ids import Digest, OperatorId, PositionId, Version
from contract.signing import Envelope, SoftwareSigner
from contract.tap import DirectoryVersion
from gateway.journal import Moment
from gateway.requests import Operator
from tests.gateway.identities import SITE, Scribe
from tests.gateway.requests import request
from tests.gateway.test_directory import entitlement


def position(name: str) -> Position:
    return Position(id=PositionId(name), role="R8001", name=name, areas=())


def member(number: int, *positions: str, status: Status = Status.ACTIVE) -> Entitlement:
    """A member of staff by number, with one card."""
    plain = entitlement(f"{number + 1:032x}", f"h-{number}", status)
    held = tuple(position(name) for name in positions or ("nurse",))
    return plain.model_copy(update={"positions": held})


def with_status(one: Entitlement, status: Status) -> Entitlement:
    return one.model_copy(update={"status": status, "salt": secrets.token_hex(16)})


class Colleague:
    """An operator of the site."""

    def __init__(self, name: str) -> None:
        self.signer: SoftwareSigner = Scribe("nobody").signer
        self.operator = Operator(OperatorId(name), self.signer.public)

    def request(self, *entries: Entry) -> bytes:
        return request(entries, self.signer, self.operator.name)

    def change_set(self, base: Version, requests: Sequence[bytes], now: Moment) -> Envelope:
        envelopes = [Envelope.from_bytes(one.split(b"\n")[0]) for one in requests]
        return ChangeSet(
            site=SITE,
            operator=self.operator.name,
            nonce=secrets.token_hex(32),
            issued_ms=now.wall_ms,
            base=DirectoryVersion.of(base),
            requests=tuple(one.digest for one in envelopes),
        ).seal(self.signer)

    def approval(
        self,
        subject: Digest,
        now: Moment,
        decision: Decision = Decision.APPROVE,
        *,
        name: str | None = None,
        lasts_ms: int = 3_600_000,
    ) -> bytes:
        return (
            Approval(
                site=SITE,
                operator=OperatorId(name or self.operator.name),
                subject=subject,
                decision=decision,
                issued_ms=now.wall_ms,
                until_ms=now.wall_ms + lasts_ms,
            )
            .seal(self.signer)
            .to_bytes()
        )


def cut(entries: Iterable[Entry], size: int) -> list[list[Entry]]:
    """In pieces of `size`."""
    every = list(entries)
    return [every[n : n + size] for n in range(0, len(every), size)]
