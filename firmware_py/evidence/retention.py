"""Prove, then forget: old events leave the terminal only when the log holds them (DESIGN §7.2).

Receipted events are kept `KEEP_MS`. Before any is forgotten, its batch's inclusion under the
checkpoint held here is asked for in bulk and verified. What cannot be proven is kept, counts as
unreceipted (so it is sent again) and is alarmed.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from contract.checkpoint import Checkpoint
from contract.events import AlarmCode
from contract.tree import Hash, ProofRefused, leaf_hash, verify_inclusion
from firmware_py.evidence import batches
from firmware_py.evidence.alarms import Alarms
from firmware_py.evidence.batches import Batch, Shipped
from firmware_py.evidence.committer import Connection
from firmware_py.evidence.journal import TAIL_EVENTS, Journal

_log: Final = logging.getLogger(__name__)

KEEP_MS: Final = 14 * 24 * 3600 * 1000
"""How long receipted events stay here at least."""
AT_ONCE: Final = 200
"""Batches a round: the disk is busy for some milliseconds only, and the request stays small."""

Prove = Callable[[int, Sequence[int]], Awaitable[tuple[tuple[Hash, ...] | None, ...]]]
"""For a tree size and leaf indexes, each leaf's inclusion proof (`fetch.Gateway.inclusion`)."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What a round did."""

    proven: int
    """Batches forgotten."""
    unproven: int
    """Batches kept, to be sent again."""


async def forget(
    journal: Journal,
    resend: Callable[[], None],
    held: Checkpoint,
    prove: Prove,
    alarms: Alarms,
    before_ms: int,
    keep_events: int = TAIL_EVENTS,
) -> Forgotten:
    """One round over the oldest batches receipted before `before_ms` (wall time).

    `resend` tells the shipper that there is something unreceipted again (`Shipper.reload`). The
    last `keep_events` events stay in any case. Raises FetchFailed, JournalFailed,
    CommitFailed; then nothing is forgotten.
    """
    keep = Batch(journal.ordinal, max(0, journal.next_sequence - keep_events), 0, journal.chain)
    old = await journal.run(
        lambda c: batches.shipped_before(c, before_ms, held.holds, AT_ONCE, keep)
    )
    if not old:
        return Forgotten(0, 0)
    proofs = await prove(held.size, [each.leaf for each in old])
    proven, unproven = sorted_by_proof(old, proofs, held)

    def job(connection: Connection) -> None:
        batches.unmark(connection, unproven)
        batches.forget(connection, proven)

    await journal.run(job)
    if unproven:
        resend()
    for batch in unproven:
        alarms.sound(AlarmCode.INCLUSION_UNPROVEN, batch.digest, "kept, and sent again")
    _log.info("old events forgotten", extra={"batches": len(proven), "unproven": len(unproven)})
    return Forgotten(len(proven), len(unproven))


def sorted_by_proof(
    old: Sequence[Shipped], proofs: Sequence[tuple[Hash, ...] | None], held: Checkpoint
) -> tuple[list[Batch], list[Batch]]:
    """Which of them the log of `held` was shown to hold where their receipts say, and which not."""
    proven: list[Batch] = []
    unproven: list[Batch] = []
    for each, proof in zip(old, proofs, strict=True):
        (proven if _holds(each, proof, held) else unproven).append(each.batch)
    return proven, unproven


def _holds(shipped: Shipped, proof: tuple[Hash, ...] | None, held: Checkpoint) -> bool:
    if proof is None:
        return False
    try:
        verify_inclusion(leaf_hash(shipped.envelope), shipped.leaf, held.size, proof, held.root)
    except ProofRefused:
        return False
    return True
