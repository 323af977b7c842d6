"""What the guard is asked about a request, and what is kept of its answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from contract.administration import Findings
from contract.directory import Entry, entry_key, parse_entry
from contract.events import Detail
from contract.governing import ChangeHeld, LockFlagged
from contract.ids import Digest, OperatorId
from gateway.directory import guard, taking
from gateway.directory.guard import Judgement
from gateway.directory.requests import Asked, Difference, Operator, RequestRefused
from gateway.directory.taking import Taken, taken_by
from gateway.evidence.journal import Moment
from gateway.store import LIVE, Past, Transaction

# What one operator may leave waiting: a person looks through each of them.
MOST_WAITING = 16
_ENTITLEMENT: Final = b'{"type":"tapover/entitlement/v1"'


def remember(
    tx: Transaction, leaf: int, operator: OperatorId, judgement: Judgement, now: Moment
) -> None:
    """What one operator ended alone counts for a day."""
    if judgement.endings:
        tx.claims.forget_endings(now.wall_ms - guard.OPERATOR_WINDOW_MS)
        ended = [
            Past(ending, operator, now.wall_ms, judgement.lock) for ending in judgement.endings
        ]
        tx.claims.add_endings(leaf, ended)


def require_room(tx: Transaction, operator: OperatorId) -> None:
    """Raises RequestRefused when too many of this operator's changes wait."""
    if sum(row.operator == operator for row in tx.held.all(LIVE)) >= MOST_WAITING:
        raise RequestRefused(f"{MOST_WAITING} changes of yours wait already: settle those first")


def told(subject: Digest, operator: OperatorId, findings: Findings) -> ChangeHeld:
    """The event of a change that stopped."""
    return ChangeHeld(
        operator=operator,
        subject=subject,
        people=findings.people,
        positions=len(findings.positions),
        leads=len(findings.leads),
    )


def judge(
    tx: Transaction, asked: Asked, difference: Difference, operator: Operator, now: Moment
) -> Judgement:
    """Stages the request and has the guard count; what does not stop is unstaged again."""
    if not difference.takes:
        return guard.NOTHING_ENDS
    subject = asked.envelope.digest
    tx.held.stage(subject, 0, asked.to_bytes(), asked.final, difference.claims)
    judgement = guard.judge(
        tx, subject, operator.name, now.wall_ms, difference.taken, lock=difference.lock
    )
    if not judgement.findings.stops:
        tx.held.unstage(subject)
    return judgement


def taken_of(tx: Transaction, subject: Digest) -> Taken:
    """What everything that is staged under a digest takes besides people."""
    taken = Taken()
    if tx.held.names_kinds(subject, taking.KINDS):
        for entries in staged_entries(tx, subject):
            standing = tx.directory.entries({entry_key(entry) for entry in entries})
            taken.join(taken_by(standing, entries))
    return taken


def staged_entries(tx: Transaction, subject: Digest) -> Iterator[list[Entry]]:
    """Request by request, without the people's: those are counted as claims."""
    for place in sorted(tx.held.places(subject)):
        message = tx.held.message(subject, place) or b""
        lines = message.split(b"\n")[1:]
        yield [parse_entry(line) for line in lines if not line.startswith(_ENTITLEMENT)]


def flags(asked: Asked, difference: Difference, findings: Findings) -> list[Detail]:
    """The event of a lock that goes beyond what one operator may end, though it is not stopped."""
    if not difference.lock or not (findings.positions or findings.leads):
        return []
    positions, leads = len(findings.positions), len(findings.leads)
    return [LockFlagged(request=asked.envelope.digest, positions=positions, leads=leads)]
