"""Changes that take more than one step: sets of requests, and a second operator's word on them.

- A set is opened with its envelope, its requests come in one by one, and only when all are here is
  it judged as one change. What does not stop is released, what stops waits.
- Released, it is carried out a request at a time, each making a version: whoever was cut off goes
  on where it was. An entry that somebody else changed since the set's base ends it (overtaken).
- A second operator's approval, of this very digest, before it expires, and not by the same person,
  carries a request out, or releases a set. It is judged again first: what would end more by now
  than was shown is shown again.
- Anybody may refuse what waits, or the rest of a set; who asked takes it back so.
- Set, approval and every step are leaves, or events in the gateway's own journal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from contract.administration import APPROVAL_MS, ChangeSet, Decision, Findings
from contract.directory import Entry, EntryKind
from contract.events import Detail
from contract.governing import ChangeDecided, Denial
from contract.ids import Digest, SiteId
from contract.signing import Envelope
from gateway.directory import guard
from gateway.directory.judging import remember, require_room, taken_of, told
from gateway.directory.requests import (
    Operator,
    RequestConflicts,
    RequestRefused,
    compare,
    open_request,
    reopen,
    reopen_change,
    require_own,
)
from gateway.directory.serving import PolicyRefused
from gateway.directory.source import Directory, digest_of
from gateway.directory.waiting import (
    NothingWaits,
    Standing,
    find_standing,
    is_overtaken,
    is_same_person,
    open_approval,
    open_set,
    requests_of,
    require_live,
    require_once,
    standing_of,
)
from gateway.evidence.journal import Moment
from gateway.evidence.keeping import Evidence
from gateway.store import LIVE, HeldKind, HeldRow, HeldState, Store, Transaction

# Of one operator at once: each may lie on the disk with 480 MB until it expires.
MOST_SETS = 2
# A clock of an operator's may be ahead of ours by this much.
_AHEAD_MS = 5 * 60 * 1000


class Desk:
    """Methods block: call them in a worker thread."""

    def __init__(
        self, store: Store, evidence: Evidence, directory: Directory, site: SiteId
    ) -> None:
        self._store = store
        self._evidence = evidence
        self._directory = directory
        self._site = site

    def open_set(self, message: bytes, operator: Operator, now: Moment) -> Standing:
        """Begins a set, or says how the same one stands. Raises RequestRefused, StoreFailed."""
        with self._directory.denying(digest_of(message), operator, now):
            self._directory.require_settled()
            envelope, change_set = open_set(message, operator)
            require_own(change_set.site, change_set.operator, self._site, operator)
            if len(set(change_set.requests)) != len(change_set.requests):
                raise RequestRefused("a request stands twice in the set")
            with self._directory.turn(), self._store.write() as tx:
                row = tx.held.get(envelope.digest)
                if row is None:
                    row = self._begin(tx, envelope, change_set, operator, now)
                return standing_of(tx, row)

    def stage(self, subject: Digest, message: bytes, operator: Operator, now: Moment) -> Standing:
        """Takes one of its requests in, in any order, also again."""
        with self._directory.denying(digest_of(message), operator, now):
            asked = open_request(message, operator, self._site)
            with self._directory.turn(), self._store.write() as tx:
                row = require_live(tx, subject, now)
                requests = requests_of(row)
                if asked.envelope.digest not in requests or row.kind is not HeldKind.SET:
                    raise RequestRefused("the set does not name this request")
                place = requests.index(asked.envelope.digest)
                if row.state is HeldState.OPEN and place not in tx.held.places(subject):
                    keys = require_once(tx, subject, asked)
                    claims = compare(tx, asked).claims
                    tx.held.stage(subject, place, message, keys, claims)
                return standing_of(tx, row)

    def advance(self, subject: Digest, operator: Operator, now: Moment) -> Standing:
        """One step: judges a set that is complete, carries out a request of one that is released.

        Anybody may go on with what was judged; nothing happens to what waits or is settled.
        """
        with self._directory.denying(subject, operator, now), self._directory.turn():
            with self._store.read() as tx:
                standing = find_standing(tx, subject)
            row = standing.row
            if row.until_ms <= now.wall_ms and row.state in LIVE:
                self._expire(row, now)
                raise RequestConflicts("it is too old: make the difference anew")
            if row.state is HeldState.OPEN:
                if row.operator != operator.name:
                    raise RequestRefused("another operator's set", Denial.NOT_BELIEVED)
                if standing.missing:
                    raise RequestRefused(f"{len(standing.missing)} of its requests are missing")
                row = self._judge(row, operator, now)
            if row.state is not HeldState.RELEASED:
                return replace(standing, row=row)
            return self._carry_on(row, standing, now)

    def decide(self, message: bytes, operator: Operator, now: Moment) -> Standing:
        """A second operator's word; to refuse it, anybody's, also who asked.

        Raises NothingWaits, RequestRefused, StoreFailed.
        """
        with self._directory.denying(digest_of(message), operator, now):
            envelope, approval = open_approval(message, operator)
            require_own(approval.site, approval.operator, self._site, operator)
            if not approval.issued_ms - _AHEAD_MS <= now.wall_ms < approval.until_ms:
                raise RequestRefused("the approval is not valid now", Denial.EXPIRED)
            with self._directory.turn():
                with self._store.read() as tx:
                    standing = find_standing(tx, approval.subject)
                    repeated = tx.log.has_statement(envelope.digest)
                row = standing.row
                if repeated:
                    return standing
                if row.state in LIVE and row.until_ms <= now.wall_ms:
                    self._expire(row, now)
                    raise RequestRefused(
                        "it waited too long: it must be asked anew", Denial.EXPIRED
                    )
                refuse = approval.decision is Decision.REFUSE
                if row.state not in (LIVE if refuse else (HeldState.WAITING,)):
                    raise RequestConflicts(f"nothing waits for an approval here: it is {row.state}")
                if refuse:
                    return self._refuse(row, standing, envelope, now)
                if is_same_person(row, operator):
                    raise RequestRefused(
                        "another operator than the one who asked must approve", Denial.SAME_PERSON
                    )
                return self._approve(row, standing, envelope, now)

    def waiting(self, now: Moment) -> list[Standing]:
        """What is under way, the oldest first; what expired meanwhile is settled."""
        with self._directory.turn():
            with self._store.read() as tx:
                late = [row for row in tx.held.all(LIVE) if row.until_ms <= now.wall_ms]
            for row in late:
                self._expire(row, now)
        with self._store.read() as tx:
            return [standing_of(tx, row) for row in tx.held.all(LIVE)]

    def find(self, subject: Digest) -> Standing:
        """Raises NothingWaits."""
        with self._store.read() as tx:
            return find_standing(tx, subject)

    def request(self, subject: Digest, place: int) -> bytes:
        """A staged request as it came, for who must judge it. Raises NothingWaits."""
        with self._store.read() as tx:
            message = tx.held.message(subject, place)
        if message is None:
            raise NothingWaits("no such request waits")
        return message

    def requests_of(self, messages: Sequence[bytes]) -> list[bytes | None]:
        """The request's envelope by which each change was made; null where none was."""
        changes = [reopen_change(message) for message in messages]
        wanted = {change.request for change in changes if change.request}
        with self._store.read() as tx:
            found = tx.log.statements(wanted)
        return [found.get(change.request) if change.request else None for change in changes]

    # --- inside, in turn ----------------------------------------------------------------------

    def _begin(
        self,
        tx: Transaction,
        envelope: Envelope,
        change_set: ChangeSet,
        operator: Operator,
        now: Moment,
    ) -> HeldRow:
        require_room(tx, operator.name)
        live = [row for row in tx.held.all(LIVE) if row.operator == operator.name]
        if sum(row.kind is HeldKind.SET for row in live) >= MOST_SETS:
            raise RequestRefused(f"{MOST_SETS} sets of yours are under way: finish those first")
        if change_set.base.value > self._directory.head.version:
            raise RequestRefused("the set is based on a version that is not there yet")
        row = HeldRow(
            subject=envelope.digest,
            kind=HeldKind.SET,
            operator=operator.name,
            envelope=envelope.to_bytes(),
            state=HeldState.OPEN,
            base=change_set.base.value,
            opened_ms=now.wall_ms,
            until_ms=now.wall_ms + APPROVAL_MS,
            findings=Findings().to_bytes(),
        )
        tx.held.add(row)
        return row

    def _judge(self, row: HeldRow, operator: Operator, now: Moment) -> HeldRow:
        """The whole set, as one change, over what stands."""
        self._require_fresh(row)
        self._require_served(row, now)
        with self._store.read() as tx:
            taken = taken_of(tx, row.subject)
            judgement = guard.judge(tx, row.subject, operator.name, now.wall_ms, taken, lock=False)
        findings = judgement.findings
        state = HeldState.WAITING if findings.stops else HeldState.RELEASED
        judged = replace(
            row, state=state, until_ms=now.wall_ms + APPROVAL_MS, findings=findings.to_bytes()
        )
        with self._evidence.log.appending() as work:
            leaf = work.add_statement(Envelope.from_bytes(row.envelope))
            work.tx.held.put(judged)
            if findings.stops:
                details = [told(row.subject, row.operator, findings)]
                self._evidence.write_own(work, details, now)
            else:
                remember(work.tx, leaf, row.operator, judgement, now)
        return judged

    def _carry_on(self, row: HeldRow, standing: Standing, now: Moment) -> Standing:
        """The next request becomes a version; behind the last one nothing is left staged."""
        self._require_fresh(row)
        with self._store.read() as tx:
            place = min(tx.held.places(row.subject))
            message = tx.held.message(row.subject, place) or b""
        asked = reopen(message)
        left = standing.left - 1
        try:
            with self._evidence.log.appending() as work:
                difference = compare(work.tx, asked)
                work.add_statement(asked.envelope)
                applied, head = self._directory.carry_out(work, asked, difference, [], now)
                state = HeldState.RELEASED if left else HeldState.DONE
                row = replace(row, base=head.version, state=state)
                self._put(work.tx, row, place)
        except RequestConflicts:
            self._settle(replace(row, state=HeldState.OVERTAKEN))
            raise
        self._directory.moved(head, asked.entries)
        return Standing(row, standing.requests, (), left, applied)

    def _approve(
        self, row: HeldRow, standing: Standing, envelope: Envelope, now: Moment
    ) -> Standing:
        self._require_fresh(row)
        with self._store.read() as tx:
            taken = taken_of(tx, row.subject)
            judgement = guard.judge(tx, row.subject, row.operator, now.wall_ms, taken, lock=False)
        if guard.more_than(judgement.findings, standing.findings):
            with self._store.write() as tx:
                tx.held.put(replace(row, findings=judgement.findings.to_bytes()))
            raise RequestConflicts("it would end more by now than was shown: look at it again")
        decided = ChangeDecided(subject=row.subject, result="approved", approval=envelope.digest)
        if row.kind is HeldKind.REQUEST:
            return self._approve_request(row, standing, envelope, decided, now)
        row = replace(row, state=HeldState.RELEASED, until_ms=now.wall_ms + APPROVAL_MS)
        with self._evidence.log.appending() as work:
            work.add_statement(envelope)
            work.tx.held.put(row)
            self._evidence.write_own(work, [decided], now)
        return replace(standing, row=row)

    def _approve_request(
        self,
        row: HeldRow,
        standing: Standing,
        envelope: Envelope,
        decided: ChangeDecided,
        now: Moment,
    ) -> Standing:
        asked = reopen(self.request(row.subject, 0))
        row = replace(row, state=HeldState.DONE)
        with self._evidence.log.appending() as work:
            difference = compare(work.tx, asked)
            work.add_statement(envelope)
            applied, head = self._directory.carry_out(work, asked, difference, [decided], now)
            self._put(work.tx, row, 0)
        self._directory.moved(head, asked.entries)
        return replace(standing, row=row, left=0, applied=applied)

    def _refuse(
        self, row: HeldRow, standing: Standing, envelope: Envelope, now: Moment
    ) -> Standing:
        row = replace(row, state=HeldState.REFUSED)
        decided = ChangeDecided(subject=row.subject, result="refused", approval=envelope.digest)
        self._settle(row, now, [decided], envelope)
        return replace(standing, row=row, left=0)

    def _expire(self, row: HeldRow, now: Moment) -> None:
        decided = ChangeDecided(subject=row.subject, result="expired", approval=None)
        self._settle(replace(row, state=HeldState.EXPIRED), now, [decided])

    def _settle(
        self,
        row: HeldRow,
        now: Moment | None = None,
        own: Sequence[Detail] = (),
        approval: Envelope | None = None,
    ) -> None:
        with self._evidence.log.appending() as work:
            if approval is not None:
                work.add_statement(approval)
            work.tx.held.put(row)
            work.tx.held.unstage(row.subject)
            if own and now is not None:
                self._evidence.write_own(work, own, now)

    @staticmethod
    def _put(tx: Transaction, row: HeldRow, place: int) -> None:
        """A request of it was carried out."""
        tx.held.drop_message(row.subject, place)
        tx.held.put(row)
        if row.state is HeldState.DONE:
            tx.held.unstage(row.subject)

    def _require_served(self, row: HeldRow, now: Moment) -> None:
        """Raises PolicyRefused; then nothing is left of the set."""
        with self._store.read() as tx:
            if not tx.held.names_kinds(row.subject, {EntryKind.POLICY}):
                return
            places = sorted(tx.held.places(row.subject))

            def entries() -> Iterator[Entry]:
                for place in places:
                    yield from reopen(tx.held.message(row.subject, place) or b"").entries

            try:
                self._directory.serving.require(tx, entries, now.wall_ms)
                return
            except PolicyRefused as error:
                refused = error
        self._settle(replace(row, state=HeldState.REFUSED))
        raise refused

    def _require_fresh(self, row: HeldRow) -> None:
        """Raises RequestConflicts when somebody else changed what this would change."""
        with self._store.read() as tx:
            overtaken = is_overtaken(tx, row)
        if overtaken:
            self._settle(replace(row, state=HeldState.OVERTAKEN))
            raise RequestConflicts("somebody changed the same meanwhile: make the difference anew")
