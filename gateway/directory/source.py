"""The directory at its source: operators' requests become changes, each making the next version.

- Request, change, the gateway's own event, rows and version are one transaction with their leaves.
- The same request sent again (an answer was lost) is answered again and changes nothing.
- What the guard stops changes nothing and waits (`gateway.directory.desk`); the request is
  a leaf then.
- What is refused is an event in the gateway's own journal before the operator hears of it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from contract.administration import APPROVAL_MS, Findings
from contract.directory import (
    CATCH_UP_BYTES,
    CATCH_UP_CHANGES,
    DirectoryChange,
    Entitlement,
    Entry,
    Terminal,
    entry_key,
)
from contract.events import Detail
from contract.governing import ChangeDenied, Denial, DirectoryPublished
from contract.ids import Digest, OperatorId, Version
from contract.journal import join_lines
from contract.signing import sha256
from contract.tap import DirectoryVersion
from gateway.authority import Authority
from gateway.certificates.revocation import withdraw_terminals
from gateway.directory import guard
from gateway.directory.judging import flags, judge, remember, require_room, told
from gateway.directory.register import Register
from gateway.directory.requests import (
    Asked,
    Difference,
    Operator,
    RequestConflicts,
    RequestRefused,
    compare,
    open_request,
)
from gateway.directory.serving import Serving
from gateway.evidence.journal import Moment
from gateway.evidence.keeping import Evidence
from gateway.evidence.log import Appending
from gateway.store import (
    ChangeRow,
    HeldKind,
    HeldRow,
    HeldState,
    Store,
    StoreFailed,
    Transaction,
)

NO_VERSION = Version(0, 0)
UNSETTLED = "unsettled"
"""A fact of a restored log: the key epoch whose first change brings back what was lost."""
_By = tuple[Digest | None, str | None]
# What became of a change that waited is told for a month; the log tells it for ever.
_TOLD_MS = 31 * 24 * 3600 * 1000


class VersionUnknown(Exception):
    """Changes do not lead on from that version: the terminal must take a snapshot."""


class Unsettled(StoreFailed):
    """The directory is restored, and its first change must bring back what was lost since."""


@dataclass(frozen=True, slots=True)
class Head:
    """The newest version and the digest of the change that made it."""

    version: Version
    digest: Digest | None


@dataclass(frozen=True, slots=True)
class Applied:
    """A committed change, to be published; `is_new` is false for a repeated request."""

    version: Version
    message: bytes
    is_new: bool


@dataclass(frozen=True, slots=True)
class Held:
    """Nothing was changed: a second operator must approve `subject`, until then."""

    subject: Digest
    findings: Findings
    until_ms: int


class Directory:
    """Keeps the register in step. Methods block: call them in a worker thread."""

    def __init__(
        self, store: Store, evidence: Evidence, authority: Authority, register: Register
    ) -> None:
        """Reads what is committed. Raises StoreFailed."""
        self._store = store
        self._evidence = evidence
        self._authority = authority
        self._register = register
        self.serving = Serving(register)
        """Judges policies before they are published."""
        self._turn = threading.Lock()
        self._head = Head(NO_VERSION, None)
        self._on_moved: Callable[[Sequence[Entry]], None] | None = None
        self._is_stale = True
        self._unsettled = 0
        self._read_again()

    @property
    def head(self) -> Head:
        """Of what is committed."""
        return self._head

    @property
    def unsettled(self) -> bool:
        """Whether terminals may hold newer versions than this one, restored from a back-up."""
        return self._unsettled > self._head.version.epoch

    def require_settled(self) -> None:
        """Raises RequestRefused: cards revoked since the back-up must not come back unnoticed."""
        if self.unsettled:
            raise RequestRefused(
                "the directory was restored from a back-up: first `tapover directory recover`"
            )

    def apply(
        self, message: bytes, operator: Operator, now: Moment, *, recovers: bool = False
    ) -> Applied | Held:
        """Carries a request out, unless the guard stops it. Raises RequestRefused, StoreFailed.

        `recovers`: it brings back what a restored directory has lost, and goes before all others.
        """
        with self.denying(digest_of(message), operator, now):
            if not recovers:
                self.require_settled()
            asked = open_request(message, operator, self._authority.site)
            with self.turn():
                with self._store.read() as tx:
                    answered = self._answered(tx, asked, now)
                    if answered is not None:
                        return answered
                    if not recovers:
                        self.serving.require(tx, lambda: asked.entries, now.wall_ms)
                with self._evidence.log.appending() as work:
                    difference = compare(work.tx, asked)
                    judgement = judge(work.tx, asked, difference, operator, now)
                    if judgement.findings.stops:
                        return self._hold(work, asked, operator, judgement.findings, now)
                    own = flags(asked, difference, judgement.findings)
                    leaf = work.add_statement(asked.envelope)
                    applied, head = self.carry_out(work, asked, difference, own, now)
                    remember(work.tx, leaf, operator.name, judgement, now)
                self.moved(head, asked.entries)
        return applied

    def changes_after(self, version: Version) -> list[bytes]:
        """Messages of the next changes, as many as fit an answer; none when there are none.

        Raises VersionUnknown where only a snapshot helps: also when the next change fits no answer,
        or is of an earlier key epoch, whose statements no terminal believes any more.
        """
        with self._store.read() as tx:
            later = tx.directory.next_version(version)
            if later is not None and later.epoch != self._authority.keys.epoch:
                raise VersionUnknown(f"the change after {version} is of an earlier key epoch")
        return self.history_after(version)

    def history_after(self, version: Version) -> list[bytes]:
        """The same for who follows the chain of digests through earlier key epochs too."""
        with self._store.read() as tx:
            if version != NO_VERSION and tx.directory.change(version) is None:
                raise VersionUnknown(f"no version {version}")
            messages: list[bytes] = []
            total = 0
            for message in tx.directory.changes_after(version, CATCH_UP_CHANGES):
                total += len(message)
                if total > CATCH_UP_BYTES:
                    if not messages:
                        raise VersionUnknown(f"the change after {version} is too large")
                    break
                messages.append(message)
            return messages

    # --- for the desk, which changes the directory by two people's word ----------------------

    @contextmanager
    def turn(self) -> Iterator[None]:
        """One at a time changes the directory; what a failed commit left is read again."""
        with self._turn:
            if self._is_stale:
                self._read_again()
            try:
                yield
            except StoreFailed:
                # Whether it is on the disk is unknown until it is read again.
                self._is_stale = True
                self._read_again()
                raise

    @contextmanager
    def denying(self, subject: Digest, operator: Operator, now: Moment) -> Iterator[None]:
        """What is refused inside is an event first. Raises what the inside raises, StoreFailed."""
        try:
            yield
        except RequestRefused as error:
            self.deny(subject, operator.name, error.denial, now)
            raise

    def deny(self, subject: Digest, operator: OperatorId, reason: Denial, now: Moment) -> None:
        """Writes a denial down. Raises StoreFailed."""
        denied = ChangeDenied(operator=operator, subject=subject, reason=reason)
        with self._evidence.log.appending() as work:
            self._evidence.write_own(work, [denied], now)

    def carry_out(
        self,
        work: Appending,
        asked: Asked,
        difference: Difference,
        own: Sequence[Detail],
        now: Moment,
    ) -> tuple[Applied, Head]:
        """Writes a request's change in a transaction, its request being a leaf already.

        `own` are events besides the one of the publication. Call `moved` when it is committed.
        """
        rows = work.tx
        rows.directory.replace_entries(difference.removed, difference.written)
        if difference.cards:
            rows.claims.replace(difference.cards, difference.claims)
            rows.claims.withdraw(difference.withdrawn)
        own = [*own, *withdraw_terminals(rows, asked.entries, now)]
        by = asked.envelope.digest, asked.request.nonce
        applied, head = self._add_change(work, asked.lines, now, by)
        published = DirectoryPublished(
            request=asked.envelope.digest, directory=DirectoryVersion.of(applied.version)
        )
        self._evidence.write_own(work, [*own, published], now)
        return applied, head

    def enact(
        self, work: Appending, entry: Terminal, own: Sequence[Detail], now: Moment
    ) -> tuple[Applied, Head]:
        """A terminal's entry that follows from what it did, by no operator's request.

        Call `moved` when it is committed.
        """
        line = entry.to_bytes()
        work.tx.directory.replace_entries([], {entry_key(entry): line})
        applied, head = self._add_change(work, (line,), now)
        self._evidence.write_own(work, own, now)
        return applied, head

    def follow(
        self, work: Appending, asked: Digest, cards: Sequence[Entitlement], own: Detail, now: Moment
    ) -> tuple[Applied, Head]:
        """Cards by a ward lead's assignment, a leaf already. Call `moved` when it is committed."""
        lines = {entry_key(card): card.to_bytes() for card in cards}
        work.tx.directory.replace_entries([], lines)
        claims = [claim for card in cards for claim in guard.claims_of(card)]
        work.tx.claims.replace([card.guid for card in cards], claims)
        self._evidence.write_own(work, [own], now)
        return self._add_change(work, list(lines.values()), now, (asked, None))

    def moved(self, head: Head, entries: Sequence[Entry]) -> None:
        """A change was committed."""
        self._head = head
        self._register.apply(entries)
        if self._on_moved is not None:
            self._on_moved(entries)

    def listen(self, listener: Callable[[Sequence[Entry]], None]) -> None:
        """Call it, in any thread, with the entries of each change that was committed."""
        self._on_moved = listener

    # --- inside ------------------------------------------------------------------------------

    def _add_change(
        self, work: Appending, lines: Sequence[bytes], now: Moment, by: _By = (None, None)
    ) -> tuple[Applied, Head]:
        """The leaf and the row of the next version; `by` whose request, under which nonce."""
        request, nonce = by
        if nonce is None and self.unsettled:
            raise Unsettled("the directory was restored and not recovered yet")
        before = _head(work.tx)
        version = before.version.next_in(self._authority.keys.epoch)
        change = DirectoryChange(
            site=self._authority.site,
            version=DirectoryVersion.of(version),
            previous=before.digest,
            request=request,
            issued_ms=now.wall_ms,
            entries=tuple(sha256(line) for line in lines),
        ).seal(self._authority.statement)
        message = join_lines(change, lines)
        work.tx.directory.add_change(
            ChangeRow(
                version=version,
                digest=change.digest,
                leaf=work.add_statement(change),
                nonce=nonce,
                request=request,
                message=message,
            )
        )
        return Applied(version, message, is_new=True), Head(version, change.digest)

    def _read_again(self) -> None:
        with self._store.read() as tx:
            head = _head(tx)
            self._unsettled = int(tx.facts.all().get(UNSETTLED, "0"))
        self._register.load(self._store)
        self._head, self._is_stale = head, False

    def _answered(self, tx: Transaction, asked: Asked, now: Moment) -> Applied | Held | None:
        """What this request, or another under its nonce, came to before."""
        known = tx.directory.change_by_nonce(asked.request.nonce)
        if known is not None:
            if known.request != asked.envelope.digest:
                raise RequestConflicts("another request was made under this nonce")
            return Applied(known.version, known.message, is_new=False)
        held = tx.held.get(asked.envelope.digest)
        if held is None:
            return None
        if held.state is not HeldState.WAITING or held.until_ms <= now.wall_ms:
            state = HeldState.EXPIRED if held.state is HeldState.WAITING else held.state
            raise RequestConflicts(f"this request waited for a second operator and is {state}")
        return Held(held.subject, Findings.from_bytes(held.findings), held.until_ms)

    def _hold(
        self, work: Appending, asked: Asked, operator: Operator, findings: Findings, now: Moment
    ) -> Held:
        """The request is kept as it is, with what it would change; it is a leaf."""
        require_room(work.tx, operator.name)
        subject, until_ms = asked.envelope.digest, now.wall_ms + APPROVAL_MS
        work.add_statement(asked.envelope)
        row = HeldRow(
            subject=subject,
            kind=HeldKind.REQUEST,
            operator=operator.name,
            envelope=asked.envelope.to_bytes(),
            state=HeldState.WAITING,
            base=self._head.version,
            opened_ms=now.wall_ms,
            until_ms=until_ms,
            findings=findings.to_bytes(),
        )
        work.tx.held.forget_before(now.wall_ms - _TOLD_MS)
        work.tx.held.add(row)
        self._evidence.write_own(work, [told(subject, operator.name, findings)], now)
        return Held(subject, findings, until_ms)


def digest_of(message: bytes) -> Digest:
    """By which what somebody sent is named: of its envelope, the first line."""
    return sha256(message.partition(b"\n")[0])


def _head(tx: Transaction) -> Head:
    newest = tx.directory.newest()
    return Head(*newest) if newest else Head(NO_VERSION, None)
