"""The guard against the bad feed: what a staged change would end, and whether one person may do it.

- A person is ended when no card of hers gives a position any more (or only later than it did); a
  position, when nobody holds it; a ward's lead likewise (`contract.administration.led_by`).
- It stops at more than 20 people; at more than one in fifty of the site's, where that is more than
  one person; at a position that more than one person held; at a ward's last lead.
- Cut into many requests it is the same change: people whom this operator ended within a day, or
  anybody within the hour, count with it, unless they are back or two operators agreed.
- One card's suspension or loss, and nothing else in the request, waits for nobody: a lost card is
  locked now. It counts towards the 20, not towards the share; what it left empty is flagged.
- Spares, terminals and the roles that a ward lets in are counted besides (`taking`).

Reads one transaction's rows; what was staged is in `held_entries` and `held_claims`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from contract.administration import MAX_FINDINGS, MOST_ENDED, ONE_IN, Findings, Stop, led_by
from contract.directory import Entitlement, Status
from contract.ids import Digest, HolderId, OperatorId, PositionId, WardId
from gateway.directory import taking
from gateway.directory.taking import Taken
from gateway.store import Claim, ClaimKind, Ending, Past, Transaction

OPERATOR_WINDOW_MS: Final = 24 * 3600 * 1000
SITE_WINDOW_MS: Final = 3600 * 1000
# Endings remembered of one change that did not stop: its people are 20 at most, and of positions
# that live on a few names are enough to know that more than one person held them.
_REMEMBERED: Final = 1_000
# Positions that one change takes from somebody and that are looked at: a site has some hundreds.
_LOOKED_AT: Final = 2_000


@dataclass(frozen=True, slots=True)
class Judgement:
    """`stops` in the findings: it waits. `endings`: to be remembered when it does not."""

    findings: Findings
    endings: tuple[Ending, ...]
    lock: bool


NOTHING_ENDS: Final = Judgement(Findings(), (), lock=False)


def claims_of(entitlement: Entitlement) -> Iterator[Claim]:
    """What an entitlement gives: nothing unless it is active and has a position."""
    if entitlement.status is not Status.ACTIVE or not entitlement.positions:
        return
    names = {(ClaimKind.PERSON, str(entitlement.holder))}
    for position in entitlement.positions:
        names.add((ClaimKind.POSITION, position.id))
        names |= {(ClaimKind.LEAD, ward) for ward in led_by(position)}
    for kind, name in sorted(names):
        yield Claim(
            guid=entitlement.guid,
            kind=kind,
            name=name,
            holder=entitlement.holder,
            from_ms=entitlement.not_before_ms,
            until_ms=entitlement.not_after_ms,
        )


def may_end(before: Iterable[Claim], after: Iterable[Claim]) -> bool:
    """Whether a card gives less than it did: if not, nothing needs to be counted."""
    now = {(claim.kind, claim.name, claim.holder): claim for claim in after}
    for claim in before:
        kept = now.get((claim.kind, claim.name, claim.holder))
        if kept is None or kept.from_ms > claim.from_ms or kept.until_ms < claim.until_ms:
            return True
    return False


def judge(
    tx: Transaction,
    subject: Digest,
    operator: OperatorId,
    now_ms: int,
    taken: Taken,
    *,
    lock: bool,
) -> Judgement:
    """What the staged change `subject` would end, and what it takes. Raises StoreFailed."""
    people: set[str] = set()
    touched: dict[tuple[ClaimKind, str], str] = {}
    endings: list[Ending] = []
    for ending in tx.claims.ended_by(subject, now_ms):
        if ending.kind is ClaimKind.PERSON:
            people.add(ending.name)
        elif len(touched) < _LOOKED_AT:
            touched.setdefault((ending.kind, ending.name), ending.holder)
        if len(endings) < _REMEMBERED:
            endings.append(ending)
    endings += taken.endings()
    if not endings and not taken:
        return NOTHING_ENDS
    lately = tx.claims.endings_since(now_ms - OPERATOR_WINDOW_MS, now_ms)
    empty = [key for key in sorted(touched) if not tx.claims.is_left(subject, *key, now_ms)]
    positions = [name for kind, name in empty if kind is ClaimKind.POSITION]
    leads = [name for kind, name in empty if kind is ClaimKind.LEAD]
    shared = [name for name in positions if _was_shared(tx, name, lately, now_ms)]
    counted, site = _count(tx, people, lately, operator, now_ms, lock=lock)
    weighed = taking.weigh(tx, taken, lately, operator, SITE_WINDOW_MS, now_ms)
    stops = _stops(len(people), counted, site) + list(weighed.stops)
    if not lock:
        stops += [Stop.POSITION] if shared else []
        stops += [Stop.LEAD] if leads else []
    findings = Findings(
        stops=tuple(stops),
        people=len(people),
        counted=counted,
        site=site,
        names=tuple(HolderId(name) for name in sorted(people)[:MAX_FINDINGS]),
        positions=tuple(PositionId(name) for name in shared[:MAX_FINDINGS]),
        leads=tuple(WardId(name) for name in leads[:MAX_FINDINGS]),
        spares=weighed.spares,
        terminals=weighed.terminals,
        shut_out=weighed.shut_out,
    )
    return Judgement(findings, tuple(endings), lock)


def _count(
    tx: Transaction,
    people: set[str],
    lately: list[Past],
    operator: OperatorId,
    now_ms: int,
    *,
    lock: bool,
) -> tuple[int, int]:
    """People that count towards the limits; and the site's, where the share must be known.

    Cards that were locked one by one count towards the number alone.
    """
    gone = [past for past in lately if past.ending.kind is ClaimKind.PERSON]
    mine = {past.ending.name for past in gone if past.operator == operator}
    anybodys = {past.ending.name for past in gone if past.at_ms > now_ms - SITE_WINDOW_MS}
    counted = max(len(people | mine), len(people | anybodys))
    if not people or lock or counted > MOST_ENDED:
        return counted, 0
    locked = {past.ending.name for past in gone if past.locked}
    counted = max(len(people | mine - locked), len(people | anybodys - locked))
    if counted <= 1:
        return counted, 0
    return counted, tx.claims.people(now_ms) + len((mine | anybodys) - people)


def _stops(ended: int, counted: int, site: int) -> list[Stop]:
    if not ended:
        return []
    if counted > MOST_ENDED:
        return [Stop.PEOPLE]
    return [Stop.SHARE] if site and counted * ONE_IN > site else []


def _was_shared(tx: Transaction, position: str, lately: list[Past], now_ms: int) -> bool:
    gone = {
        past.ending.holder
        for past in lately
        if past.ending.kind is ClaimKind.POSITION and past.ending.name == position
    }
    return len(gone | tx.claims.holders(ClaimKind.POSITION, position, now_ms, most=2)) > 1


def more_than(now: Findings, shown: Findings) -> bool:
    """Whether a change would end more than was shown to whoever approves it."""
    return (
        now.people > shown.people
        or now.spares > shown.spares
        or now.terminals > shown.terminals
        or now.shut_out > shown.shut_out
        or not set(now.positions) <= set(shown.positions)
        or not set(now.leads) <= set(shown.leads)
    )
