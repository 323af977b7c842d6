"""The vectors of administration by two people: a set, an approval, and the guard's events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from contract import events, governing
from contract.administration import Approval, ChangeSet, Decision
from contract.ids import Digest, OperatorId, SiteId, TerminalId, WardId
from contract.signing import Signer
from contract.tap import DirectoryVersion

SITE, INES, OTTO = SiteId("st-elsewhere"), OperatorId("ines"), OperatorId("otto")
NOW: Final = 1_767_225_600_000


def vectors(
    request: Digest,
    operator: Signer,
    second: Signer,
    base: DirectoryVersion,
    event: Callable[[int, events.Detail], bytes],
) -> dict[str, bytes]:
    """A change set of one request, and the events of one that stopped at the guard."""
    change_set = ChangeSet(
        site=SITE, operator=INES, nonce="0e" * 32, issued_ms=NOW, base=base, requests=(request,)
    ).seal(operator)
    subject = change_set.digest
    approval = Approval(
        site=SITE,
        operator=OTTO,
        subject=subject,
        decision=Decision.APPROVE,
        issued_ms=NOW,
        until_ms=NOW + 3_600_000,
    ).seal(second)
    told: dict[str, events.Detail] = {
        "change-held": governing.ChangeHeld(
            operator=INES, subject=subject, people=21, positions=1, leads=1
        ),
        "change-decided": governing.ChangeDecided(
            subject=subject, result="approved", approval=approval.digest
        ),
        "change-denied": governing.ChangeDenied(
            operator=INES, subject=subject, reason=governing.Denial.SAME_PERSON
        ),
        "lock-flagged": governing.LockFlagged(request=request, positions=0, leads=1),
        "policy-unserved": governing.PolicyUnserved(
            terminal=TerminalId("bay-1"), ward=WardId("ed"), state="begun"
        ),
    }
    lines = {f"event-{name}": event(n, detail) for n, (name, detail) in enumerate(told.items())}
    return {"change-set": change_set.to_bytes(), "approval": approval.to_bytes(), **lines}
