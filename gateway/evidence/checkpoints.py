"""Checkpoints and proofs out of the log (RFC 9162 §2.1.3, §2.1.4; C2SP tlog-checkpoint).

Signed once a second when the log has grown, stored, and published with the proof that it continues
the one published before. What was signed is a log that only grows: two checkpoints never differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from contract.checkpoint import Checkpoint, CheckpointMessage, origin
from contract.ids import Digest
from contract.tree import Hash, consistency_proof, inclusion_proof
from contract.wire import encode_base64
from gateway.authority import Authority
from gateway.evidence.log import Log
from gateway.store import CheckpointRow, Store, Transaction
from gateway.tiles import TileReader


class NoSuchSize(Exception):
    """A proof was asked about a log larger than ours."""


@dataclass(frozen=True, slots=True)
class Published:
    """A checkpoint with what is sent around it."""

    checkpoint: Checkpoint
    message: CheckpointMessage


def sign_checkpoint(store: Store, log: Log, authority: Authority, now_ms: int) -> Checkpoint:
    """Signs and stores the log as it is; the newest one again when it has not grown.

    Raises StoreFailed, TileMissing.
    """
    epoch = authority.keys.log.epoch
    name = origin(authority.site, epoch)
    edge = log.edge()
    with store.read() as tx:
        newest = tx.checkpoints.newest()
    if newest is not None and newest.size == edge.size:
        return Checkpoint(name, epoch, newest.size, bytes.fromhex(newest.root))
    checkpoint = Checkpoint(name, epoch, edge.size, edge.root())
    note = checkpoint.sign(authority.log)
    with log.appending() as work:
        row = CheckpointRow(checkpoint.size, Digest(checkpoint.root.hex()), now_ms, note)
        work.tx.checkpoints.add(row)
    return checkpoint


class Checkpoints:
    """The newest published checkpoint, and proofs towards it."""

    def __init__(self, store: Store, log: Log, authority: Authority) -> None:
        self._store = store
        self._log = log
        self._authority = authority
        self._newest: Published | None = None

    @property
    def newest(self) -> Published | None:
        """The last one that `advance` gave; None before the first."""
        return self._newest

    def advance(self, now_ms: int) -> Published:
        """Signs if the log has grown; `since` is the checkpoint given before. Blocks."""
        checkpoint = sign_checkpoint(self._store, self._log, self._authority, now_ms)
        before = self._newest
        if before is not None and before.checkpoint.size == checkpoint.size:
            return before
        published = Published(checkpoint, self._message(before.checkpoint.size if before else 0))
        self._newest = published
        return published

    def since(self, size: int) -> CheckpointMessage:
        """The newest checkpoint with its proof from `size`. Raises NoSuchSize. Blocks."""
        return self._message(size)

    def inclusion(self, size: int, leaves: Sequence[int]) -> list[tuple[Hash, ...] | None]:
        """A proof for each leaf in the log of `size` leaves; None for a leaf beyond it.

        Raises NoSuchSize when the log is smaller. Blocks.
        """
        with self._store.read() as tx:
            if size > tx.log.size():
                raise NoSuchSize(f"the log has not {size} leaves")
            subtree = TileReader(tx.log.tile).subtree
            return [
                inclusion_proof(leaf, size, subtree) if leaf < size else None for leaf in leaves
            ]

    def _message(self, since: int) -> CheckpointMessage:
        with self._store.read() as tx:
            return _message(tx, self._authority.keys.log.epoch, since)


def _message(tx: Transaction, epoch: int, since: int) -> CheckpointMessage:
    newest = tx.checkpoints.newest()
    if newest is None or since > newest.size:
        raise NoSuchSize(f"no checkpoint of {since} leaves was published")
    proof = consistency_proof(since, newest.size, TileReader(tx.log.tile).subtree)
    return CheckpointMessage(
        epoch=epoch,
        note=newest.note,
        since=since,
        consistency=tuple(encode_base64(each) for each in proof),
    )
