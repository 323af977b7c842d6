"""Spares assigned at 03:00: a ward lead's word, judged (FIELD 10, DESIGN §6).

- What the lead countersigned is judged as `contract.witness` says, by the directory as it stands.
- A spare is assigned once; then it is used, until the authority makes it a spare again. A person
  holds one spare at a time.
- Two assignments of one spare, or of two spares to one person, made where nobody heard of the
  other: the earlier by site time stands, whichever comes first. The other one gives way: its card
  is another's then, or lost, which locks what it opened.
- Whatever was judged is an event for review, its envelope a leaf where the lead was believed. The
  same terms are judged once: sent again, they are answered as before.
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass
from typing import Final

from contract.directory import Entitlement, EntryKind, Spare, Status, parse_entry
from contract.help import HelpAnswer, HelpRefused, Named
from contract.helping import HelpJudged, HelpReason
from contract.ids import Digest, Guid, TerminalId, WardId
from contract.signing import sha256
from contract.tap import DirectoryVersion
from contract.witness import AHEAD_MS, Assigned, assign, open_assignment, require_lead
from gateway.authority import Authority
from gateway.directory.register import NotRegistered, Register, Registered
from gateway.directory.source import Applied, Directory, Head, digest_of
from gateway.evidence.journal import Moment
from gateway.evidence.keeping import Evidence
from gateway.evidence.log import Appending
from gateway.store import AssignmentRow, Store, Transaction

_log: Final = logging.getLogger(__name__)
# A terminal says at once what it did; one that comes so late was away, and is looked at.
LATE_MS: Final = 30_000


@dataclass(frozen=True, slots=True)
class Seen:
    """What directory and earlier assignments say of one assignment."""

    ward: WardId | None
    """Of the terminal."""
    lead: Entitlement | None
    lead_on_spare: bool
    spare: Spare | None
    held: Entitlement | None
    """Under the spare's GUID."""
    own: Entitlement | None
    """The named person's card."""
    own_on_spare: bool
    others: tuple[AssignmentRow, ...]
    """In force, of this spare or this person."""
    cards: tuple[Entitlement, ...] = ()
    """The others' spares, as they are now."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """It is carried out: `cards` are written, `losers` give way."""

    cards: tuple[Entitlement, ...]
    losers: tuple[AssignmentRow, ...]


def judge(assigned: Assigned, seen: Seen, now_ms: int, salt: str) -> Ruling:
    """Pure. Raises HelpRefused."""
    terms = assigned.terms
    if seen.ward != terms.ward:
        raise HelpRefused(HelpReason.WRONG_WARD)
    require_lead(assigned, seen.lead, on_spare=seen.lead_on_spare)
    if not now_ms < terms.until_ms or terms.begins_ms > now_ms + AHEAD_MS:
        raise HelpRefused(HelpReason.NOT_NOW)
    if seen.own_on_spare:
        raise HelpRefused(HelpReason.PERSON_UNKNOWN, "vouched for by a spare")
    card = assign(terms, seen.spare, seen.own, salt)
    same_spare = [row for row in seen.others if row.spare == terms.spare]
    if seen.held is not None and not same_spare:
        raise HelpRefused(HelpReason.SPARE_USED)
    for row in seen.others:
        if row.order <= assigned.order:
            mine = row.spare == terms.spare
            raise HelpRefused(HelpReason.LATER if mine else HelpReason.HAS_ONE)
    written = [card]
    if isinstance(terms.person, Named) and terms.person.lost and seen.own is not None:
        suspended = {"status": Status.SUSPENDED, "salt": salt}
        written.append(seen.own.model_copy(update=suspended))
    gone = {row.spare for row in seen.others} - {terms.spare}
    lost = {"status": Status.LOST, "salt": salt}
    written += [other.model_copy(update=lost) for other in seen.cards if other.guid in gone]
    return Ruling(tuple(written), seen.others)


class Spares:
    """Methods block: call them in a worker thread."""

    def __init__(
        self,
        store: Store,
        evidence: Evidence,
        directory: Directory,
        register: Register,
        authority: Authority,
    ) -> None:
        self._store = store
        self._evidence = evidence
        self._directory = directory
        self._register = register
        self._site = authority.site

    def take(
        self, message: bytes, terminal: TerminalId, now: Moment
    ) -> tuple[HelpAnswer, Applied | None]:
        """Judges what a terminal sends, and carries it out. Raises StoreFailed."""
        try:
            known = require_terminal(self._register, terminal)
            assigned = open_assignment(message, self._site, terminal, known.key)
        except HelpRefused as refused:
            self._told(digest_of(message), terminal, refused, now)
            return HelpAnswer(reason=refused.reason), None
        with self._directory.turn():
            with self._store.read() as tx:
                before = tx.help.assignment(sha256(assigned.line))
            if before is not None:
                return self._again(before), None
            with self._evidence.log.appending() as work:
                seen = look(work.tx, assigned, known.ward, now.wall_ms)
                try:
                    ruling = judge(assigned, seen, now.wall_ms, secrets.token_hex(16))
                except HelpRefused as refused:
                    self._refuse(work, assigned, seen, refused, now)
                    return HelpAnswer(reason=refused.reason), None
                applied, head = self._carry_out(work, assigned, seen, ruling, now)
            self._directory.moved(head, ruling.cards)
        version = DirectoryVersion.of(applied.version)
        return HelpAnswer(reason=HelpReason.GRANTED, directory=version), applied

    def newest(self) -> list[AssignmentRow]:
        """For review, the newest first."""
        with self._store.read() as tx:
            return tx.help.newest_assignments()

    def _again(self, row: AssignmentRow) -> HelpAnswer:
        version = self._directory.head.version if row.reason is HelpReason.GRANTED else None
        return HelpAnswer(
            reason=row.reason, directory=DirectoryVersion.of(version) if version else None
        )

    def _carry_out(
        self, work: Appending, assigned: Assigned, seen: Seen, ruling: Ruling, now: Moment
    ) -> tuple[Applied, Head]:
        work.add_statement(assigned.envelope)
        for loser in ruling.losers:
            work.tx.help.overtake(loser.terms)
        work.tx.help.add_assignment(_row(assigned, HelpReason.GRANTED, now))
        late = now.wall_ms - assigned.terms.begins_ms > LATE_MS
        told = HelpJudged(
            what="spare",
            priority="high" if late or ruling.losers else "routine",
            subject=assigned.digest,
            terminal=assigned.terms.terminal,
            reason=HelpReason.GRANTED,
            guid=assigned.terms.spare,
            colleague=seen.lead.holder if seen.lead else None,
            loser=ruling.losers[0].digest if ruling.losers else None,
        )
        if ruling.losers:
            _log.warning("an assignment was overtaken", extra={"spare": assigned.terms.spare})
        return self._directory.follow(work, assigned.digest, ruling.cards, told, now)

    def _refuse(
        self, work: Appending, assigned: Assigned, seen: Seen, refused: HelpRefused, now: Moment
    ) -> None:
        """An event; where a lead's own card stands behind it, a leaf, and final."""
        if refused.reason in _LEADS_OWN:
            work.add_statement(assigned.envelope)
            work.tx.help.add_assignment(_row(assigned, refused.reason, now))
        lead = seen.lead.holder if seen.lead else None
        terminal = assigned.terms.terminal
        told = _denied(assigned.digest, terminal, refused, assigned.terms.spare)
        self._evidence.write_own(work, [told.model_copy(update={"colleague": lead})], now)

    def _told(
        self, subject: Digest, terminal: TerminalId, refused: HelpRefused, now: Moment
    ) -> None:
        with self._evidence.log.appending() as work:
            self._evidence.write_own(work, [_denied(subject, terminal, refused, None)], now)


_LEADS_OWN: Final = frozenset(
    {HelpReason.LATER, HelpReason.HAS_ONE, HelpReason.SPARE_USED, HelpReason.NOT_NOW}
)


def look(tx: Transaction, assigned: Assigned, ward: WardId | None, now_ms: int) -> Seen:
    """Everything that `judge` asks."""
    terms = assigned.terms
    own = terms.person.guid if isinstance(terms.person, Named) else None
    others = tx.help.standing(terms.spare, terms.holder, now_ms)
    return Seen(
        ward=ward,
        lead=card_of(tx, assigned.colleague),
        lead_on_spare=spare_of(tx, assigned.colleague) is not None,
        spare=spare_of(tx, terms.spare),
        held=card_of(tx, terms.spare),
        own=card_of(tx, own) if own else None,
        own_on_spare=own is not None and spare_of(tx, own) is not None,
        others=tuple(others),
        cards=tuple(card for row in others if (card := card_of(tx, row.spare))),
    )


def require_terminal(register: Register, terminal: TerminalId) -> Registered:
    """Raises HelpRefused."""
    try:
        return register.active(terminal)
    except NotRegistered as error:
        raise HelpRefused(HelpReason.TERMINAL_UNKNOWN, str(error)) from error


def card_of(tx: Transaction, guid: Guid) -> Entitlement | None:
    """As the directory has it."""
    entry = _entry(tx, EntryKind.ENTITLEMENT, guid)
    return entry if isinstance(entry, Entitlement) else None


def spare_of(tx: Transaction, guid: Guid) -> Spare | None:
    """As the directory has it."""
    entry = _entry(tx, EntryKind.SPARE, guid)
    return entry if isinstance(entry, Spare) else None


def _entry(tx: Transaction, kind: EntryKind, guid: Guid) -> object:
    line = tx.directory.entries({(kind, guid)}).get((kind, guid))
    return parse_entry(line) if line else None


def _row(assigned: Assigned, reason: HelpReason, now: Moment) -> AssignmentRow:
    terms = assigned.terms
    return AssignmentRow(
        terms=sha256(assigned.line),
        digest=assigned.digest,
        spare=terms.spare,
        holder=terms.holder,
        terminal=terms.terminal,
        begins_ms=terms.begins_ms,
        until_ms=terms.until_ms,
        received_ms=now.wall_ms,
        reason=reason,
        message=assigned.message,
    )


def _denied(
    subject: Digest, terminal: TerminalId, refused: HelpRefused, guid: Guid | None
) -> HelpJudged:
    _log.warning("help refused", extra={"terminal": terminal, "why": str(refused)})
    return HelpJudged(
        what="spare",
        priority="high",
        subject=subject,
        terminal=terminal,
        reason=refused.reason,
        guid=guid,
    )
