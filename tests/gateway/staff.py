"""A hospital's staff as entitlements, and a second operator; for the guard's tests."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence

from contract.administration import Approval, ChangeSet, Decision
from contract.directory import Entitlement, Entry, EntryKind, Position, Removed, Status
from contract.ids import Digest, OperatorId, PositionId, Version
from contract.signing import Envelope, SoftwareSigner
from contract.tap import DirectoryVersion
from gateway.directory.desk import Desk
from gateway.directory.register import Register
from gateway.directory.requests import Operator
from gateway.directory.source import Applied, Directory, Held
from gateway.evidence.journal import Moment
from gateway.store import HeldState
from tests.gateway.conftest import World
from tests.gateway.identities import SITE, Scribe
from tests.gateway.requests import request
from tests.gateway.test_directory import entitlement
from tests.gateway.test_evidence import Stranger


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


PEOPLE = 200


class Hospital:
    """Two operators, and a directory of a few hundred people."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.ines, self.otto = Colleague("ines"), Colleague("otto")
        self.reopen()

    def reopen(self) -> None:
        world = self.world
        self.register = Register(world.authority.statement)
        self.directory = Directory(world.store, world.evidence, world.authority, self.register)
        self.desk = Desk(world.store, world.evidence, self.directory, SITE)

    def employ(self, staff: list[Entitlement]) -> None:
        for piece in cut(staff, 500):
            assert isinstance(self.ask(*piece), Applied)

    def ask(self, *entries: Entry, who: Colleague | None = None) -> Applied | Held:
        who = who or self.ines
        return self.directory.apply(who.request(*entries), who.operator, self.world.now)

    def approve(self, subject: Digest, who: Colleague, **how: object) -> HeldState:
        paper = who.approval(subject, self.world.now, **how)  # type: ignore[arg-type]
        return self.desk.decide(paper, who.operator, self.world.now).row.state

    @property
    def version(self) -> Version:
        return self.directory.head.version

    def stands(self, number: int) -> bytes:
        key = (EntryKind.ENTITLEMENT, f"{number + 1:032x}")
        with self.world.store.read() as tx:
            return tx.directory.entries({key})[key]

    def events(self) -> list[bytes]:
        stranger = Stranger(self.world.database)
        stranger.check()
        return [body for _, body in sorted(stranger.events.items())]

    def leaves(self) -> list[bytes]:
        return Stranger(self.world.database).leaves


def staff(count: int = PEOPLE) -> list[Entitlement]:
    return [member(n) for n in range(count)]


def ended(one: Entitlement, how: str) -> Entitlement | Removed:
    """The ways in which a feed ends somebody."""
    match how:
        case "removed":
            return Removed(kind=EntryKind.ENTITLEMENT, id=one.guid, salt=secrets.token_hex(16))
        case "without a position":
            return one.model_copy(update={"positions": (), "salt": secrets.token_hex(16)})
        case "over":
            return one.model_copy(update={"not_after_ms": 1, "salt": secrets.token_hex(16)})
        case "put off":
            later = {"not_before_ms": 2**49, "salt": secrets.token_hex(16)}
            return one.model_copy(update=later)
        case _:
            return with_status(one, Status(how))
