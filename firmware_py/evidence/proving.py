"""The log has gone on from a back-up: what it holds of ours is proven anew, the rest is sent again.

The root has declared another log epoch (DESIGN §7.5). Receipts of the epoch before say where a
batch stood; how much of that came back, only the new log can show. So each such batch's inclusion
under a checkpoint of the new epoch is asked for in bulk: proven, its receipt holds on; not, it is
taken back, and the shipper sends the batch again, byte for byte. Nobody at the screen notices.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from contract.checkpoint import Checkpoint
from firmware_py.evidence import batches
from firmware_py.evidence.journal import Journal
from firmware_py.evidence.retention import AT_ONCE, Prove, sorted_by_proof

_log: Final = logging.getLogger(__name__)


async def prove_anew(
    journal: Journal, resend: Callable[[], None], held: Checkpoint, prove: Prove
) -> int:
    """All receipts of epochs before `held`'s; returns how many batches are to be sent again.

    `resend` tells the shipper of them (`Shipper.reload`). Raises FetchFailed, JournalFailed,
    CommitFailed; what was settled until then stays settled.
    """
    kept = again = 0
    while old := await journal.run(lambda c: batches.of_earlier_logs(c, held.epoch, AT_ONCE)):
        proofs = await prove(held.size, [each.leaf for each in old])
        proven, lost = sorted_by_proof(old, proofs, held)
        await journal.run(
            lambda c, proven=proven, lost=lost: batches.settle_earlier(  # type: ignore[misc]
                c, held.epoch, proven, lost
            )
        )
        kept, again = kept + len(proven), again + len(lost)
        if lost:
            resend()
    if kept or again:
        extra = {"epoch": held.epoch, "proven": kept, "sent_again": again}
        _log.warning("the site's log went on from a back-up", extra=extra)
    return again
