"""What the guard is asked about a request, and what is kept of its answers."""

from __future__ import annotations

from contract.administration import Findings
from contract.events import ChangeHeld, Detail, LockFlagged
from contract.ids import Digest, OperatorId
from gateway import guard
from gateway.guard import Judgement
from gateway.journal import Moment
from gateway.requests import Asked, Difference, Operator, RequestRefused
from gateway.store import LIVE, Past, Transaction

# What one operator may leave waiting: a person looks through each of them.
MOST_WAITING = 16


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
    judgement = guard.judge(tx, subject, operator.name, now.wall_ms, lock=difference.lock)
    if not judgement.findings.stops:
        tx.held.unstage(subject)
    return judgement


def flags(asked: Asked, difference: Difference, findings: Findings) -> list[Detail]:
    """The event of a lock that goes beyond what one operator may end, though it is not stopped."""
    if not difference.lock or not (findings.positions or findings.leads):
        return []
    positions, leads = len(findings.positions), len(findings.leads)
    return [LockFlagged(request=asked.envelope.digest, positions=positions, leads=leads)]
