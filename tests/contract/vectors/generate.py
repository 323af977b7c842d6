"""Writes the golden vectors: one of each record that the contract promises, with its bytes.

Everything is made from fixed numbers, so running it again writes the same file:

    python -m tests.contract.vectors.generate

The keys are generated test keys, published here, and of no use anywhere.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from contract import (
    directory,
    events,
    journal,
    policy,
    signing,
    statements,
    tap,
    tree,
)
from contract.checkpoint import Checkpoint, CheckpointMessage, origin
from contract.ids import (
    BootId,
    Digest,
    Guid,
    HolderId,
    JournalId,
    KeyId,
    OperatorId,
    PositionId,
    SessionId,
    SiteId,
    TerminalId,
    WardId,
)
from contract.wire import Record, encode_base64
from tests.contract.vectors import (
    administration,
    bedside,
    countersigning,
    emergency,
    enrolment,
    foreign,
    help,  # noqa: A004
    moving,
    pinning,
    succession,
)

HERE: Final = Path(__file__).parent
VECTORS: Final = HERE / "vectors.json"

SITE, TERMINAL, WARD = SiteId("st-elsewhere"), TerminalId("bay-1"), WardId("ed")
JOURNAL, BOOT = JournalId("10" * 16), BootId("b0" * 16)
GUID, HOLDER = Guid("6a" * 16), HolderId("h-amal")
NOW: Final = 1_767_225_600_000
SALT: Final = "5a" * 16
VERSION: Final = tap.DirectoryVersion(epoch=1, n=1)


class Deterministic:
    """A P-256 signer by RFC 6979, so that vectors do not change."""

    def __init__(self, scalar: int) -> None:
        self.key = ec.derive_private_key(scalar, ec.SECP256R1())

    @property
    def public(self) -> signing.VerifyKey:
        return signing.SoftwareSigner(self.key).public

    def sign(self, message: bytes) -> bytes:
        return self.key.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))


ROOT, STATEMENT, OPERATOR = Deterministic(11), Deterministic(12), Deterministic(13)
SECOND_OPERATOR = Deterministic(17)
BATCH, CARD_9E, CARD_9A = Deterministic(14), Deterministic(15), Deterministic(16)
LOG = signing.SoftwareSigner(ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32))))


def entries() -> list[Record]:
    """One directory entry of each kind."""
    credentials = (
        directory.Credential(
            slot=directory.Slot.CARD_AUTHENTICATION,
            algorithm=signing.Algorithm.P256,
            key=CARD_9E.public.to_base64(),
        ),
        directory.Credential(
            slot=directory.Slot.PIV_AUTHENTICATION,
            algorithm=signing.Algorithm.P256,
            key=CARD_9A.public.to_base64(),
            pin_gated=True,
        ),
    )
    nurse = directory.Position(id=PositionId("ed-nurse"), role="R8001", name="Nurse", areas=(WARD,))
    return [
        directory.Entitlement(
            guid=GUID,
            holder=HOLDER,
            name=directory.Name(full="Amal Haddad", short="Amal H.", initials="AH"),
            credentials=credentials,
            positions=(nurse,),
            status=directory.Status.ACTIVE,
            not_before_ms=NOW,
            not_after_ms=NOW + 94_608_000_000,
            salt=SALT,
        ),
        directory.Terminal(
            terminal=TERMINAL,
            ward=WARD,
            batch_key=BATCH.public.to_base64(),
            state=directory.TerminalState.ACTIVE,
            salt=SALT,
        ),
        policy.Policy(
            ward=WARD,
            grace_by_role=(policy.RoleGrace(role="R8001L", grace_s=900),),
            break_glass=policy.BreakGlass(
                allowed=True, position=PositionId("emergency"), reasons=("RESUS",), limit_s=3600
            ),
            salt=SALT,
        ),
        directory.Removed(kind=directory.EntryKind.TERMINAL, id="bay-9", salt=SALT),
    ]


def key_statement() -> statements.KeyStatement:
    """The certificates are placeholders: their bytes are not what these vectors fix."""
    placeholder = encode_base64(b"a certificate in DER")
    return statements.KeyStatement(
        site=SITE,
        epoch=1,
        issued_ms=NOW,
        root=ROOT.public.to_base64(),
        statement_key=STATEMENT.public.to_base64(),
        log=statements.LogKey(epoch=1, key=LOG.public.to_base64()),
        terminal_ca=placeholder,
        operator_ca=placeholder,
        card_ca=placeholder,
    )


def event(sequence: int, detail: events.Detail) -> bytes:
    """A journal line of the vectors' terminal."""
    return events.Event(
        terminal=TERMINAL,
        journal=JOURNAL,
        sequence=sequence,
        boot=BOOT,
        monotonic_ms=1000 + sequence,
        wall_ms=NOW + sequence,
        clock=events.ClockTrust.SITE,
        salt=SALT,
        detail=detail,
    ).to_bytes()


class Journal:
    """A journal that grows by card records of each purpose and their outcomes."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.chain = journal.chain_start(JOURNAL)
        self.heartbeat: Digest | None = None

    def add(self, detail: events.Detail) -> bytes:
        line = event(len(self.lines), detail)
        self.lines.append(line)
        self.chain = journal.chain_next(self.chain, signing.sha256(line))
        return line

    def common(self) -> dict[str, Any]:
        return {
            "guid": GUID,
            "previous": self.chain,
            "directory": VERSION,
            "heartbeat": self.heartbeat,
            "nonce": "0e" * 32,
        }

    def card(self, record: tap.CardRecord) -> bytes:
        return self.add(events.CardRecorded(record=record))

    def outcome(self, line: bytes, key: Deterministic, result: events.OutcomeResult) -> bytes:
        return self.add(
            events.CardOutcome(
                record=len(self.lines) - 1,
                guid=GUID,
                result=result,
                reason=events.Reason.GRANTED,
                key=KeyId(key.public.key_id),
                algorithm=signing.Algorithm.P256,
                signature=encode_base64(key.sign(tap.card_message(line))),
                holder=HOLDER,
                position=PositionId("ed-nurse"),
                session=SessionId("5e" * 16),
                clock=events.ClockTrust.SITE,
            )
        )


def statements_and_journal() -> dict[str, bytes]:
    """Every record by name, as its exact bytes."""
    made: dict[str, bytes] = {}
    lines = [entry.to_bytes() for entry in entries()]
    digests = tuple(signing.sha256(line) for line in lines)
    names = ("entitlement", "terminal-register", "policy", "removed")
    made |= dict(zip(names, lines, strict=True))
    made["key-statement"] = key_statement().seal(ROOT).to_bytes()
    made |= succession.vectors(ROOT, OPERATOR)
    request = directory.ChangeRequest(
        site=SITE, operator=OperatorId("ines"), nonce="0e" * 32, issued_ms=NOW, entries=digests
    ).seal(OPERATOR)
    change = directory.DirectoryChange(
        site=SITE,
        version=VERSION,
        previous=None,
        request=request.digest,
        issued_ms=NOW,
        entries=digests,
    ).seal(STATEMENT)
    made["change-request"], made["directory-change"] = request.to_bytes(), change.to_bytes()
    made["directory-change-message"] = journal.join_lines(change, lines)
    body = b"".join(line + b"\n" for line in lines[:3])
    chunk = directory.Chunk(digest=signing.sha256(body), size=len(body), entries=3)
    made["chunk"] = body
    made["chunk-list"] = directory.ChunkList(chunks=(chunk,)).to_bytes()
    made["directory-manifest"] = (
        directory.DirectoryManifest(
            site=SITE,
            version=VERSION,
            head=change.digest,
            issued_ms=NOW,
            entries=3,
            chunks=signing.sha256(made["chunk-list"]),
        )
        .seal(STATEMENT)
        .to_bytes()
    )
    made |= _log_and_journal(change.digest, [made["key-statement"], made["change-request"]])
    made |= administration.vectors(request.digest, OPERATOR, SECOND_OPERATOR, VERSION, event)
    made |= enrolment.vectors(OPERATOR, BATCH, VERSION, event)
    made |= bedside.vectors(event)
    made |= countersigning.vectors(event)
    made |= moving.vectors(BATCH, event)
    made |= pinning.vectors(event)
    made |= help.vectors(OPERATOR, BATCH, STATEMENT, (CARD_9E, CARD_9A), VERSION, event)
    made |= emergency.vectors(BATCH, STATEMENT, CARD_9E, VERSION, event)
    return made


def _log_and_journal(head: Digest, leaves: list[bytes]) -> dict[str, bytes]:
    made: dict[str, bytes] = {}
    hashed = [tree.leaf_hash(leaf) for leaf in leaves]
    root = tree.node_hash(*hashed)
    checkpoint = Checkpoint(origin(SITE, 1), 1, 2, root)
    made["checkpoint"] = checkpoint.sign(LOG).encode()
    made["checkpoint-message"] = CheckpointMessage(
        epoch=1,
        note=checkpoint.sign(LOG),
        since=1,
        consistency=(encode_base64(hashed[1]),),
    ).to_bytes()
    heartbeat = statements.Heartbeat(
        site=SITE, version=VERSION, head=head, checkpoint=checkpoint.holds, issued_ms=NOW
    ).seal(STATEMENT)
    made["heartbeat"] = heartbeat.to_bytes()
    made |= _journal(heartbeat, checkpoint)
    status = statements.TerminalStatus(
        terminal=TERMINAL,
        state="online",
        software="0.1.0",
        boot=BOOT,
        journal=JOURNAL,
        directory=VERSION,
        counts=statements.TerminalCounts(),
        question="0e" * 32,
    )
    made["status"] = status.to_bytes()
    made["status-readers"] = status.model_copy(
        update={"readers": 2, "interfaces": ("contact", "contactless")}
    ).to_bytes()
    made["enrolment"] = (
        statements.Enrolment(
            site=SITE,
            terminal=TERMINAL,
            certificate=encode_base64(b"a certificate in DER"),
            batch_key=BATCH.public.to_base64(),
            issued_ms=NOW,
        )
        .seal(STATEMENT)
        .to_bytes()
    )
    return made


def _journal(heartbeat: signing.Envelope, checkpoint: Checkpoint) -> dict[str, bytes]:
    made: dict[str, bytes] = {}
    log = Journal()
    made["event-journal-opened"] = log.add(events.JournalOpened(software="0.1.0"))
    made["event-heartbeat-held"] = log.add(
        events.HeartbeatHeld(envelope=encode_base64(heartbeat.to_bytes()))
    )
    log.heartbeat = heartbeat.digest
    proved, opened = events.OutcomeResult.PROVED, events.OutcomeResult.OPENED
    made["event-pin-record"] = log.card(tap.PinRecord(**log.common()))
    made["event-pin-outcome"] = log.outcome(made["event-pin-record"], CARD_9A, proved)
    made["pin-proof"] = tap.PinProof(
        record=encode_base64(made["event-pin-record"]),
        signature=encode_base64(CARD_9A.sign(tap.card_message(made["event-pin-record"]))),
        heartbeat=encode_base64(heartbeat.to_bytes()),
    ).to_bytes()
    made["event-tap-record"] = log.card(tap.TapRecord(**log.common()))
    made["event-tap-outcome"] = log.outcome(made["event-tap-record"], CARD_9E, opened)
    sealing = CARD_9E.public
    made["event-countersign-record"] = log.card(
        tap.CountersignRecord(**log.common(), text=Digest("7e" * 32), document=Digest("d0" * 32))
    )
    made["event-move-record"] = log.card(
        tap.MoveRecord(**log.common(), seal=signing.sha256(sealing.spki))
    )
    made["move-request"] = tap.MoveRequest(
        record=encode_base64(made["event-move-record"]),
        signature=encode_base64(CARD_9E.sign(tap.card_message(made["event-move-record"]))),
        key=sealing.to_base64(),
        heartbeat=encode_base64(heartbeat.to_bytes()),
    ).to_bytes()
    batch = journal.BatchStatement(
        terminal=TERMINAL,
        journal=JOURNAL,
        first=0,
        previous=journal.chain_start(JOURNAL),
        events=tuple(signing.sha256(line) for line in log.lines),
        holds=checkpoint.holds,
    ).seal(BATCH)
    made["batch"] = batch.to_bytes()
    made["batch-message"] = journal.join_lines(batch, log.lines)
    made["receipt"] = (
        journal.Receipt(
            site=SITE,
            epoch=1,
            terminal=TERMINAL,
            journal=JOURNAL,
            verdict=journal.Verdict.ACCEPTED,
            batch=batch.digest,
            next=len(log.lines),
            leaf=2,
        )
        .seal(LOG)
        .to_bytes()
    )
    return made


def generate() -> dict[str, Any]:
    """The whole file."""
    line = event(0, events.CardRecorded(record=tap.TapRecord(**Journal().common())))
    return {
        "note": "Generated test vectors; the keys behind them are generated test keys.",
        "source": "tests/contract/vectors/generate.py",
        "keys": {
            "root": ROOT.public.to_base64(),
            "statement": STATEMENT.public.to_base64(),
            "operator": OPERATOR.public.to_base64(),
            "second-operator": SECOND_OPERATOR.public.to_base64(),
            "batch": BATCH.public.to_base64(),
            "card-9E": CARD_9E.public.to_base64(),
            "card-9A": CARD_9A.public.to_base64(),
            "log": LOG.public.to_base64(),
        },
        "records": {
            name: {"bytes": data.decode(), "sha256": signing.sha256(data)}
            for name, data in statements_and_journal().items()
        },
        "rsa-card": foreign.rsa_card(line),
    }


def main() -> None:
    """Writes the file; makes the RSA key first if there is none."""
    foreign.make_key()
    VECTORS.write_text(json.dumps(generate(), indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
