"""A small site for the tests of trust and rights: keys, statements and entries, freshly made."""

# ruff: noqa: ANN401 - what is spoilt or set is named by field

from __future__ import annotations

import functools
import itertools
import secrets
from collections.abc import Sequence
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from contract.directory import (
    Chunk,
    ChunkList,
    Credential,
    DirectoryChange,
    DirectoryManifest,
    Entitlement,
    Entry,
    Name,
    Position,
    Slot,
    Status,
    Terminal,
    TerminalState,
    entry_key,
)
from contract.ids import (
    Digest,
    Guid,
    HolderId,
    KeyId,
    PositionId,
    SiteId,
    TerminalId,
    Version,
    WardId,
)
from contract.journal import join_lines
from contract.policy import Policy
from contract.signing import Algorithm, Envelope, SoftwareSigner, sha256
from contract.statements import Heartbeat, KeyStatement, LogKey
from contract.tap import DirectoryVersion
from contract.wire import encode_base64
from firmware_py.trust.statements import Fault, Keys, Refused, Replace, judge_keys

SITE = SiteId("hospital")
WARD = WardId("resus")
TERMINAL = TerminalId("resus-1")
NOW_MS = 1_780_000_000_000
GUID = Guid("11" * 16)
OTHER_GUID = Guid("22" * 16)
ALICE = HolderId("alice")


@functools.cache
def signer(name: str) -> SoftwareSigner:
    """A P-256 key for whoever is named, the same within a run."""
    return SoftwareSigner(ec.generate_private_key(ec.SECP256R1()))


@functools.cache
def log_signer() -> SoftwareSigner:
    return SoftwareSigner(ed25519.Ed25519PrivateKey.generate())


def credential(slot: Slot, owner: str = "alice", *, pin_gated: bool = False) -> Credential:
    return Credential(
        slot=slot,
        algorithm=Algorithm.P256,
        key=signer(f"{owner}-{slot}").public.to_base64(),
        pin_gated=pin_gated,
    )


def card_key(slot: Slot, owner: str = "alice") -> KeyId:
    """The key id of what `credential` lists."""
    return signer(f"{owner}-{slot}").public.key_id


def position(id_: str = "nurse", role: str = "R8001", areas: Sequence[str] = ()) -> Position:
    return Position(
        id=PositionId(id_), role=role, name=id_.title(), areas=tuple(WardId(a) for a in areas)
    )


def entitlement(**changes: Any) -> Entitlement:
    """Alice's, a nurse with a gated 9A; `changes` by field."""
    fields: dict[str, Any] = {
        "guid": GUID,
        "holder": ALICE,
        "name": Name(full="Alice Aster", short="A. Aster", initials="AA"),
        "credentials": (
            credential(Slot.CARD_AUTHENTICATION),
            credential(Slot.PIV_AUTHENTICATION, pin_gated=True),
        ),
        "positions": (position(),),
        "status": Status.ACTIVE,
        "not_before_ms": NOW_MS - 1_000_000,
        "not_after_ms": NOW_MS + 1_000_000_000,
        "salt": secrets.token_hex(16),
    }
    return Entitlement(**{**fields, **changes})


def terminal(
    state: TerminalState = TerminalState.ACTIVE, name: TerminalId = TERMINAL, ward: WardId = WARD
) -> Terminal:
    """In the register; each has a batch key of its own, `batch_key_of`."""
    return Terminal(
        terminal=name,
        ward=ward,
        batch_key=batch_key_of(name).public.to_base64(),
        state=state,
        salt=secrets.token_hex(16),
    )


def batch_key_of(name: TerminalId) -> SoftwareSigner:
    """By which a terminal signs."""
    return signer("batch" if name == TERMINAL else f"batch-{name}")


def policy(**changes: Any) -> Policy:
    return Policy(**{"ward": WARD, "salt": "ab" * 16, **changes})


def key_statement(epoch: int = 1, **changes: Any) -> KeyStatement:
    fields: dict[str, Any] = {
        "site": SITE,
        "epoch": epoch,
        "issued_ms": NOW_MS,
        "root": signer("root").public.to_base64(),
        "statement_key": signer(f"statement-{epoch}").public.to_base64(),
        "log": LogKey(epoch=1, key=log_signer().public.to_base64()),
        "terminal_ca": encode_base64(b"terminal ca"),
        "operator_ca": encode_base64(b"operator ca"),
        "card_ca": encode_base64(b"card ca"),
    }
    return KeyStatement(**{**fields, **changes})


def key_envelope(epoch: int = 1, **changes: Any) -> Envelope:
    return key_statement(epoch, **changes).seal(signer("root"))


ROOT_FINGERPRINT = signer("root").public.key_id


def keys(epoch: int = 1) -> Keys:
    """What a terminal holds of that epoch."""
    replace = judge_keys(key_envelope(epoch).to_bytes(), ROOT_FINGERPRINT, SITE, None)
    assert isinstance(replace, Replace)
    return replace.keys


KEYS = keys()


def fault(verdict: object) -> Fault | None:
    """Why a statement was refused; null when it was not."""
    return verdict.fault if isinstance(verdict, Refused) else None


class Gateway:
    """What a gateway would publish: a directory that grows by changes, its snapshots and beats."""

    def __init__(self, epoch: int = 1) -> None:
        self.version = Version(0, 0)
        self.head: Digest | None = None
        self.epoch = epoch
        self.issued_ms = NOW_MS
        self.entries: dict[tuple[str, str], Entry] = {}
        self._ticks = itertools.count(1)

    @property
    def key(self) -> SoftwareSigner:
        return signer(f"statement-{self.epoch}")

    def change(self, *entries: Entry, **changes: Any) -> bytes:
        """The next change, as its message; `changes` spoil the statement and are not kept."""
        n = self.version.n + 1 if self.version.epoch == self.epoch else 1
        version = Version(self.epoch, n)
        lines = [entry.to_bytes() for entry in entries]
        fields: dict[str, Any] = {
            "site": SITE,
            "version": DirectoryVersion.of(version),
            "previous": self.head,
            "request": None,
            "issued_ms": NOW_MS + next(self._ticks),
            "entries": tuple(sha256(line) for line in lines),
        }
        statement = DirectoryChange(**{**fields, **changes})
        envelope = statement.seal(self.key)
        if not changes:
            self.version, self.head, self.issued_ms = version, envelope.digest, statement.issued_ms
            for entry in entries:
                kind, id_ = entry_key(entry)
                if entry.type == "tapover/removed/v1":
                    self.entries.pop((kind, id_), None)
                else:
                    self.entries[kind, id_] = entry
        return join_lines(envelope, lines)

    def snapshot(self, per_chunk: int = 2, **changes: Any) -> tuple[bytes, bytes, list[bytes]]:
        """Manifest envelope, chunk list, chunks."""
        lines = [self.entries[key].to_bytes() + b"\n" for key in sorted(self.entries)]
        groups = [lines[i : i + per_chunk] for i in range(0, len(lines), per_chunk)]
        return self.seal_snapshot([(b"".join(group), len(group)) for group in groups], **changes)

    def seal_snapshot(
        self, bodies: list[tuple[bytes, int]], **changes: Any
    ) -> tuple[bytes, bytes, list[bytes]]:
        """The same from chunks as given, each with the count listed for it."""
        listed = ChunkList(
            chunks=tuple(
                Chunk(digest=sha256(data), size=len(data), entries=count) for data, count in bodies
            )
        ).to_bytes()
        fields: dict[str, Any] = {
            "site": SITE,
            "version": DirectoryVersion.of(self.version),
            "head": self.head,
            "issued_ms": self.issued_ms,
            "entries": sum(count for _, count in bodies),
            "chunks": sha256(listed),
        }
        manifest = DirectoryManifest(**{**fields, **changes}).seal(self.key)
        return manifest.to_bytes(), listed, [data for data, _ in bodies]

    def beat(self, issued_ms: int, nonce: str | None = None, **changes: Any) -> bytes:
        return self.heartbeat(issued_ms, nonce, **changes).seal(self.key).to_bytes()

    def heartbeat(self, issued_ms: int, nonce: str | None = None, **changes: Any) -> Heartbeat:
        fields: dict[str, Any] = {
            "site": SITE,
            "version": DirectoryVersion.of(self.version),
            "head": self.head,
            "checkpoint": None,
            "issued_ms": issued_ms,
            "nonce": nonce,
        }
        return Heartbeat(**{**fields, **changes})
