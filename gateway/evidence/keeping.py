"""Judging batches and keeping them: accepted, duplicate, gap or fork (DESIGN §7.3).

- One transaction for a whole group of batches, the same few SQL statements however many they are.
- A receipt is sealed after the commit returned, never before.
- A duplicate is receipted again with its original leaf. A gap names what is wanted. A fork is
  stored apart, flagged by an alarm in the gateway's own journal, and receipted.
- A journal belongs to the terminal that began it; nobody else may continue it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from contract.enrolment import BatchKeptApart
from contract.events import Alarm, AlarmCode, Detail
from contract.ids import Digest, JournalId, SiteId, TerminalId
from contract.journal import Head, Receipt, Verdict, judge
from contract.signing import Envelope, Signer
from gateway.evidence.journal import Batch, Moment, OwnJournal
from gateway.evidence.log import Appending, Log
from gateway.store import ForkRow, JournalRow, LateRow

# The first forks of a journal show that it forked; a terminal that sends ever more of them must
# not fill the disk.
MAX_FORKS_KEPT: Final = 16
# Four batches are in flight at most, and some lie at the broker: a few hundred kilobytes each.
MAX_LATE_KEPT: Final = 64


@dataclass(frozen=True, slots=True)
class Ruling:
    """What became of a batch. `leaf` is where it stands, for accepted and duplicate ones."""

    batch: Batch
    verdict: Verdict
    next: int
    leaf: int | None


@dataclass(frozen=True, slots=True)
class NotItsJournal:
    """A batch for a journal that another terminal began: refused without a receipt."""

    batch: Batch


@dataclass(slots=True)
class _Standing:
    """A journal while a group is judged."""

    owner: TerminalId | None
    """None until a batch of a new journal is accepted: only then is it anybody's."""
    before: Head
    head: Head
    is_new: bool


class Evidence:
    """The site's log as the gateway's parts use it. Methods block: call them in a worker thread."""

    def __init__(
        self, log: Log, own: OwnJournal, signer: Signer, site: SiteId, log_epoch: int
    ) -> None:
        self.log = log
        self._own = own
        self._signer = signer
        self._site = site
        self._epoch = log_epoch

    def append(
        self, batches: Sequence[Batch], now: Moment, own: Sequence[Detail] = ()
    ) -> list[Ruling | NotItsJournal]:
        """Judges verified batches in order, adds events of our own, and commits.

        Raises StoreFailed: then nothing of it stands.
        """
        with self.log.appending() as work:
            rulings, forked = self._judge(work, batches, now)
            alarms = [Alarm(code=AlarmCode.JOURNAL_FORKED, subject=each) for each in forked]
            if details := [*own, *alarms]:
                self.write_own(work, details, now)
        return rulings

    def keep_apart(self, late: Sequence[LateRow], now: Moment) -> None:
        """Batches of terminals that are retired: whole, marked, and no part of the log.

        Raises StoreFailed.
        """
        with self.log.appending() as work:
            rows, told = work.tx.enrolment, list[Detail]()
            for row in late:
                known = rows.late_of(row.terminal)
                if row.digest not in known and len(known) < MAX_LATE_KEPT:
                    rows.add_late(row)
                    told.append(BatchKeptApart(terminal=row.terminal, batch=row.digest))
            if told:
                self.write_own(work, told, now)

    def write_own(self, work: Appending, details: Sequence[Detail], now: Moment) -> None:
        """Adds one batch of the gateway's own events to a transaction; once a transaction."""
        known = work.tx.journals.heads([self._own.id]).get(self._own.id)
        head = known.head if known else Head.start(self._own.id)
        self._judge(work, [self._own.batch(head, details, now)], now)

    def receipt(self, ruling: Ruling) -> Envelope:
        """The sealed receipt of a committed ruling."""
        statement = ruling.batch.statement
        return Receipt(
            site=self._site,
            epoch=self._epoch,
            terminal=statement.terminal,
            journal=statement.journal,
            verdict=ruling.verdict,
            batch=ruling.batch.digest,
            next=ruling.next,
            leaf=ruling.leaf,
        ).seal(self._signer)

    def _judge(
        self, work: Appending, batches: Sequence[Batch], now: Moment
    ) -> tuple[list[Ruling | NotItsJournal], list[Digest]]:
        standings = _standings(work, batches)
        stored = _stored(work, batches, standings)
        rulings: list[Ruling | NotItsJournal] = []
        forks: list[Batch] = []
        for batch in batches:
            ruling = _rule(work, batch, standings, stored)
            rulings.append(ruling)
            if isinstance(ruling, Ruling) and ruling.verdict is Verdict.FORK:
                forks.append(batch)
        for journal, standing in standings.items():
            if standing.is_new and standing.owner:
                work.open_journal(journal, JournalRow(standing.owner, standing.head))
            elif standing.head != standing.before:
                work.advance_journal(journal, standing.head)
        return rulings, _keep_forks(work, forks, now) if forks else []


def _standings(work: Appending, batches: Sequence[Batch]) -> dict[JournalId, _Standing]:
    journals = {batch.statement.journal for batch in batches}
    known = work.tx.journals.heads(journals)
    standings = {}
    for journal in journals:
        row = known.get(journal)
        head = row.head if row else Head.start(journal)
        standings[journal] = _Standing(row.terminal if row else None, head, head, is_new=not row)
    return standings


Stored = dict[tuple[JournalId, int], tuple[Digest, int]]


def _stored(
    work: Appending, batches: Sequence[Batch], standings: dict[JournalId, _Standing]
) -> Stored:
    """Batches already accepted where one of `batches` begins: asked only for what is not new."""
    old = {
        (batch.statement.journal, batch.statement.first)
        for batch in batches
        if batch.statement.first < standings[batch.statement.journal].head.next
    }
    if not old:
        return {}
    rows = work.tx.journals.stored(old)
    return {(row.journal, row.first): (row.digest, row.leaf) for row in rows}


def _rule(
    work: Appending, batch: Batch, standings: dict[JournalId, _Standing], stored: Stored
) -> Ruling | NotItsJournal:
    statement = batch.statement
    standing = standings[statement.journal]
    if standing.owner not in (None, statement.terminal):
        return NotItsJournal(batch)
    place = (statement.journal, statement.first)
    digest, leaf = stored.get(place, (None, None))
    judgement = judge(standing.head, statement, batch.digest, digest)
    match judgement.verdict:
        case Verdict.ACCEPTED:
            leaf = work.add_batch(*place, batch.digest, batch.line, batch.bodies)
            stored[place] = (batch.digest, leaf)
            standing.head, standing.owner = judgement.head, statement.terminal
        case Verdict.DUPLICATE:
            pass
        case Verdict.GAP | Verdict.FORK:
            leaf = None
    return Ruling(batch, judgement.verdict, standing.head.next, leaf)


def _keep_forks(work: Appending, forks: Sequence[Batch], now: Moment) -> list[Digest]:
    """Stores forks that are new, up to the cap of their journal; returns the digests of those."""
    journals = work.tx.journals
    known = journals.forks_known({batch.digest for batch in forks})
    kept = journals.forks_of({batch.statement.journal for batch in forks})
    fresh: list[Digest] = []
    for batch in forks:
        statement = batch.statement
        count = kept.get(statement.journal, 0)
        if batch.digest in known or count >= MAX_FORKS_KEPT:
            continue
        known.add(batch.digest)
        kept[statement.journal] = count + 1
        fresh.append(batch.digest)
        message = b"\n".join((batch.line, *batch.bodies))
        work.add_fork(
            ForkRow(
                digest=batch.digest,
                journal=statement.journal,
                terminal=statement.terminal,
                first=statement.first,
                received_ms=now.wall_ms,
                message=message,
            )
        )
    return fresh
