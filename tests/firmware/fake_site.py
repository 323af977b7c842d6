"""A site in memory that judges batches by the contract, and tells whoever breaks its rules.

It keeps a real Merkle tree, signs real receipts and checkpoints, and remembers every byte that it
was sent: a batch published twice must be the same batch, and stored before it was published at all.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from contract.checkpoint import Checkpoint, CheckpointMessage, origin
from contract.events import ClockTrust, Event
from contract.ids import BootId, Digest, JournalId, SiteId, TerminalId
from contract.journal import (
    MAX_BATCH_BYTES,
    BatchStatement,
    Head,
    Receipt,
    Verdict,
    judge,
    require_bodies,
    split_lines,
)
from contract.signing import Envelope, SoftwareSigner
from contract.tree import Hash, consistency_proof, inclusion_proof, leaf_hash, node_hash, root
from contract.wire import encode_base64
from firmware_py.evidence.checkpoints import LogTrust
from firmware_py.evidence.journal import Stamp
from runtime.clock import Clock

SITE = SiteId("st-elsewhere")
TERMINAL = TerminalId("ward-a-t7")
LOG_EPOCH = 1
BOOT = BootId("b0" * 16)


def p256() -> SoftwareSigner:
    return SoftwareSigner(ec.generate_private_key(ec.SECP256R1()))


def stamps(clock: Clock) -> Stamp:
    return Stamp(BOOT, clock.monotonic_ns() // 1_000_000, clock.wall_ms(), ClockTrust.SITE)


class Tree:
    """An append-only Merkle tree, whole in memory."""

    def __init__(self) -> None:
        self.leaves: list[bytes] = []

    def append(self, leaf: bytes) -> int:
        self.leaves.append(leaf)
        return len(self.leaves) - 1

    def subtree(self, level: int, index: int) -> Hash:
        if level == 0:
            return leaf_hash(self.leaves[index])
        return node_hash(self.subtree(level - 1, 2 * index), self.subtree(level - 1, 2 * index + 1))

    def root(self, size: int) -> Hash:
        return root(size, self.subtree)


@dataclass
class FakeSite:
    """What a gateway promises, without its disk and its network."""

    batch_key: SoftwareSigner = field(default_factory=p256)
    log: SoftwareSigner = field(
        default_factory=lambda: SoftwareSigner(ed25519.Ed25519PrivateKey.generate())
    )
    tree: Tree = field(default_factory=Tree)
    heads: dict[JournalId, Head] = field(default_factory=dict)
    stored: dict[tuple[JournalId, int], tuple[Digest, int]] = field(default_factory=dict)
    events: dict[tuple[JournalId, int], bytes] = field(default_factory=dict)
    forks: list[Digest] = field(default_factory=list)
    accepted: int = 0
    messages: int = 0
    journal_file: Path | None = None
    """Where the terminal must have stored a batch before it publishes it."""
    _said: dict[tuple[JournalId, int], bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tree.append(b"the key statement")

    @property
    def trust(self) -> LogTrust:
        return LogTrust(SITE, LOG_EPOCH, self.log.public)

    def take(self, message: bytes) -> bytes:
        """Judges a batch message; the receipt's envelope."""
        self.messages += 1
        envelope, bodies = split_lines(message, MAX_BATCH_BYTES)
        statement = BatchStatement.open(envelope, self.batch_key.public)
        require_bodies(bodies, statement.events, Event.CAP)
        assert statement.terminal == TERMINAL
        self._require_same_bytes(statement, message)
        self._require_true_checkpoint(statement)
        place = (statement.journal, statement.first)
        head = self.heads.get(statement.journal, Head.start(statement.journal))
        digest, leaf = self.stored.get(place, (None, -1))
        judgement = judge(head, statement, envelope.digest, digest)
        if judgement.verdict is Verdict.ACCEPTED:
            self.accepted += 1
            leaf = self.tree.append(envelope.to_bytes())
            self.stored[place] = (envelope.digest, leaf)
            for sequence, body in enumerate(bodies, statement.first):
                assert (statement.journal, sequence) not in self.events
                self.events[statement.journal, sequence] = body
        elif judgement.verdict is Verdict.FORK:
            self.forks.append(envelope.digest)
        self.heads[statement.journal] = judgement.head
        stands = judgement.verdict in {Verdict.ACCEPTED, Verdict.DUPLICATE}
        return self.receipt(statement, envelope, judgement.verdict, leaf if stands else None)

    def forget_what_was_said(self, from_sequence: int) -> None:
        """From here on a terminal may say something else: its disk went back in time."""
        self._said = {place: said for place, said in self._said.items() if place[1] < from_sequence}

    def receipt(
        self, statement: BatchStatement, envelope: Envelope, verdict: Verdict, leaf: int | None
    ) -> bytes:
        receipt = Receipt(
            site=SITE,
            epoch=LOG_EPOCH,
            terminal=TERMINAL,
            journal=statement.journal,
            verdict=verdict,
            batch=envelope.digest,
            next=self.heads[statement.journal].next,
            leaf=leaf,
        )
        return receipt.seal(self.log).to_bytes()

    def checkpoint(self, size: int | None = None) -> Checkpoint:
        size = len(self.tree.leaves) if size is None else size
        return Checkpoint(origin(SITE, LOG_EPOCH), LOG_EPOCH, size, self.tree.root(size))

    def checkpoint_message(self, since: int, size: int | None = None) -> CheckpointMessage:
        new = self.checkpoint(size)
        proof = consistency_proof(since, new.size, self.tree.subtree)
        return CheckpointMessage(
            epoch=LOG_EPOCH,
            note=new.sign(self.log),
            since=since,
            consistency=tuple(encode_base64(step) for step in proof),
        )

    def prove(self, size: int, leaf: int) -> tuple[Hash, ...]:
        return inclusion_proof(leaf, size, self.tree.subtree)

    def _require_same_bytes(self, statement: BatchStatement, message: bytes) -> None:
        said = self._said.setdefault((statement.journal, statement.first), message)
        assert said == message, "a batch was cut anew: it must be resent byte for byte"

    def _require_true_checkpoint(self, statement: BatchStatement) -> None:
        holds = statement.holds
        if holds is not None:
            assert holds.epoch == LOG_EPOCH
            assert self.tree.root(holds.size).hex() == holds.root

    def require_stored(self, message: bytes) -> None:
        """As seen by somebody who opens the terminal's database: only what is committed."""
        assert self.journal_file is not None
        digest = split_lines(message, MAX_BATCH_BYTES)[0].digest
        reader = sqlite3.connect(f"file:{self.journal_file}?mode=ro", uri=True)
        try:
            found = reader.execute("SELECT 1 FROM batch WHERE digest = ?", (digest,)).fetchone()
        finally:
            reader.close()
        assert found, "a batch was published before it was stored"
