"""A blocked PIN: by the PUK that the gateway releases; without the gateway a limited session.

The PUK is opened here, goes to the card and nowhere else. The card gets its new PIN first and then
the next PUK; torn away in between, the gateway knows that it holds one of two. A colleague's PIN
alone opens one of the holder's own positions, of the roles that the ward's policy names, for as
long as it says; then it locks, and the card owes its PIN as before.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from contract.certificates import spki
from contract.directory import Slot
from contract.escrow import PukEscrow
from contract.events import AlarmCode, Reason
from contract.help import MAX_HELP_BYTES, HelpAnswer, HelpRefused
from contract.helping import HelpGiven, HelpReason
from contract.ids import Digest, Guid, SessionId
from contract.journal import require_bodies, split_lines
from contract.puk import PukRelease, PukReport, PukRequest, PukResult, PukTerms, open_puks
from contract.signing import Envelope, SignatureRefused
from contract.wire import WireError, encode_base64
from firmware_py.card.records import SignedRecord
from firmware_py.card.tap import AnotherCard, CardAnswer, CopiedCard, meet
from firmware_py.fetch import AskedTooOften, FetchFailed
from firmware_py.glass import words
from firmware_py.help.errand import NEW_PIN_SET, NOT_GIVEN, NOT_SET, Errand, Step, proof_of
from firmware_py.sessions.machine import Granted, Session
from firmware_py.signon.decision import NeedsPin, Proof, Refuse, allowed_here, decide
from firmware_py.signon.pad import Vouched
from firmware_py.timers import Timers
from hardware.apdu import CardError, HardwareError
from hardware.piv import Pin, PinBlocked, PinNotTaken, PivClient, WrongPin
from hardware.pivdata import Reference
from hardware.readers import CardConnection
from hardware.unblock import change_secret, set_pin_by_puk

if TYPE_CHECKING:
    from firmware_py.help.desk import HelpDesk

LOG: Final = logging.getLogger("tapover.help")
_S: Final = 1_000_000_000
ANSWER_S: Final = 4.0
"""Two people wait; then it counts as offline."""
REPORT_TRIES: Final = 10
REPORT_NS: Final = 2 * _S


@dataclass(frozen=True, slots=True)
class Unblocked(CardAnswer):
    """What the card holds now."""

    result: PukResult = PukResult.REFUSED
    used: int = 0


@dataclass(frozen=True, slots=True)
class Released:
    """The gateway's answer to a request; null: none came."""

    request: Digest
    body: bytes | None

    def tell(self, desk: HelpDesk) -> None:
        desk.puks.released(self)


@dataclass(frozen=True, slots=True)
class VouchOver:
    """A limited session's time is over."""

    guid: Guid

    def tell(self, desk: HelpDesk) -> None:
        desk.puks.vouch_over(self.guid)


class PukOffice:
    """Belongs to the consumer."""

    def __init__(self, desk: HelpDesk) -> None:
        self._desk = desk
        self._timers: Timers[object] = Timers(desk.line.inside.parts.clock, desk.post)

    # --- online -------------------------------------------------------------------------------

    def send(self, errand: Errand, signed: SignedRecord) -> None:
        """The colleague's PIN stands behind it, and that is durable."""
        assert errand.tap and errand.key  # noqa: S101, PT018 - earlier steps
        terms = errand.terms
        assert isinstance(terms, PukTerms)  # noqa: S101 - the errand is about a PUK
        envelope = PukRequest(
            site=terms.site,
            terminal=terms.terminal,
            terms=encode_base64(errand.line),
            tap=proof_of(errand.tap),
            proof=proof_of(signed),
            key=encode_base64(spki(errand.key.public_key())),
        ).seal(self._desk.tools.batch)
        errand.request = envelope.digest
        self._desk.later(self._ask(envelope))

    async def _ask(self, envelope: Envelope) -> None:
        body = None
        try:
            async with asyncio.timeout(ANSWER_S):
                body = await self._desk.tools.ask("puk", envelope.to_bytes(), MAX_HELP_BYTES)
        except AskedTooOften:
            # It is there: nothing opens as if it were not.
            body = HelpAnswer(reason=HelpReason.ASKED_TWICE).to_bytes()
        except (FetchFailed, TimeoutError) as error:
            LOG.info("no PUK can be asked for", extra={"why": str(error)})
        self._desk.post(Released(envelope.digest, body))

    def released(self, news: Released) -> None:
        """Raises JournalFailed."""
        errand = self._desk.errand
        if errand is None or errand.request != news.request or errand.step is not Step.GATEWAY:
            return
        if news.body is None:
            self._vouch(errand)
            return
        try:
            errand.puks = self._opened(errand, news)
        except HelpRefused as refused:
            self._desk.line.inside.parts.sound(AlarmCode.HELP_REFUSED, news.request, str(refused))
            self._desk.give_up(NOT_GIVEN, errand.card.guid if errand.card else None)
            return
        self._desk.go_on(Step.NEW_PIN)

    def _opened(self, errand: Errand, news: Released) -> tuple[bytes, list[bytes]]:
        body = news.body or b""
        if b"\n" not in body:
            raise HelpRefused(_reason_in(body), "the gateway refuses")
        try:
            envelope, lines = split_lines(body, MAX_HELP_BYTES)
            release = PukRelease.open(envelope, self._desk.tools.keys().statement_key)
            require_bodies(lines, (release.escrow,), PukEscrow.CAP)
        except (WireError, SignatureRefused) as error:
            raise HelpRefused(HelpReason.NOT_BELIEVED, str(error)) from error
        assert errand.card and errand.key  # noqa: S101, PT018 - earlier steps
        if (release.request, release.guid) != (news.request, errand.card.guid):
            raise HelpRefused(HelpReason.NOT_BELIEVED, "a release for another request")
        return open_puks(release, news.request, errand.key)

    def work(self, errand: Errand, new: Pin) -> Callable[[CardConnection], CardAnswer]:
        """For the blocked card: its new PIN, and then its next PUK. Raises HardwareError."""
        assert errand.puks and errand.card  # noqa: S101, PT018 - earlier steps
        following, present = _pin(errand.puks[0]), [_pin(puk) for puk in errand.puks[1]]
        owner, monotonic_ns = errand.card, self._desk.line.inside.parts.clock.monotonic_ns

        def work(connection: CardConnection) -> CardAnswer:
            piv = PivClient(connection, monotonic_ns)
            guid = meet(piv, owner)
            result, used = _set(piv, present, following, new)
            spent = connection.connect_ns + piv.card_ns
            return Unblocked(guid, None, piv.exchanges, spent, result, used)

        return work

    def worked(self, end: CardAnswer | HardwareError) -> None:
        """The card has its new PIN, or not. Raises JournalFailed."""
        desk, errand = self._desk, self._desk.errand
        if errand is None or errand.card is None or errand.request is None:
            return
        if isinstance(end, AnotherCard | CopiedCard | PinNotTaken):
            desk.go_on(Step.NEW_PIN)
            return
        if isinstance(end, PinBlocked):
            end = Unblocked(errand.card.guid, None, 0, 0, PukResult.REFUSED, 0)
        if not isinstance(end, Unblocked):
            # Torn away: nobody knows which PUK it holds, and the gateway knows that.
            desk.give_up(NOT_SET, errand.card.guid)
            return
        self._report(errand, errand.request, end)
        if end.result is PukResult.REFUSED:
            desk.give_up(NOT_SET, errand.card.guid)
            return
        at = desk.line.inside.parts.journal.next_sequence
        desk.note(self._given(errand, errand.request, "puk", None))
        desk.say(NEW_PIN_SET, at)
        desk.drop()

    def _report(self, errand: Errand, request: Digest, end: Unblocked) -> None:
        assert errand.card  # noqa: S101 - looked at by the caller
        report = PukReport(
            site=self._desk.tools.keys().site,
            terminal=self._desk.custody.kept.terminal,
            request=request,
            guid=errand.card.guid,
            result=end.result,
            used=end.used,
        ).seal(self._desk.tools.batch)
        self._desk.later(self._tell(report.to_bytes()))

    async def _tell(self, report: bytes) -> None:
        """What is never told stays in doubt, which costs the next one another try."""
        clock = self._desk.line.inside.parts.clock
        for _ in range(REPORT_TRIES):
            try:
                await self._desk.tools.ask("puk/report", report, HelpAnswer.CAP)
            except FetchFailed as error:
                LOG.info("a PUK's report waits", extra={"why": str(error)})
                await clock.sleep_until(clock.monotonic_ns() + REPORT_NS)
            else:
                return

    # --- offline ------------------------------------------------------------------------------

    def _vouch(self, errand: Errand) -> None:
        """The ward's policy decides what a colleague's PIN stands for. Raises JournalFailed."""
        desk, custody = self._desk, self._desk.custody
        assert errand.card and errand.tap and errand.tapped and errand.request  # noqa: S101, PT018
        place, now = custody.place(), custody.moment()
        policy, shown = place.policy.countersigned, desk.line.inside.stage.newest.shown
        held = custody.entitlement(errand.card.guid)
        proof = Proof(
            errand.card.guid, errand.tapped.interface, Slot.CARD_AUTHENTICATION, errand.tap.key
        )
        decision = decide(proof, held, place, None, custody.freshness(), now)
        fit = [] if policy is None or held is None else allowed_here(held, place)
        roles = policy.roles if policy else ()
        position = next((one for one in fit if one.role in roles), None)
        free = shown is None or (held is not None and shown.holder != held.holder)
        vouched = isinstance(decision, NeedsPin) and free and self._colleague_counts(errand)
        if not vouched or position is None or policy is None or held is None:
            LOG.info("no session for a blocked PIN", extra={"allowed": policy is not None})
            desk.give_up(NOT_GIVEN, errand.card.guid)
            return
        until_ms = now.monotonic_ms + policy.limit_s * 1000
        given = self._given(
            errand, errand.request, "session", custody.freshness().now_ms + policy.limit_s * 1000
        )
        session = Session(
            SessionId(secrets.token_hex(16)), held.holder, position.id, errand.card.guid
        )
        desk.line.inside.signon.vouched[errand.card.guid] = Vouched(position, until_ms)
        self._timers.set(errand.card.guid, policy.limit_s, VouchOver(errand.card.guid))
        desk.drop()
        transition = desk.line.inside.stage.consider(Granted(session))
        desk.line.inside.signon.greeting = words.OPEN
        desk.line.inside.signon.outcomes.notice = None
        desk.line.inside.signon.outcomes.opened(errand.tapped, Reason.GRANTED, transition, (given,))

    def _colleague_counts(self, errand: Errand) -> bool:
        """Her own PIN would have opened something here."""
        tapped, custody = errand.colleague_tap, self._desk.custody
        if errand.colleague is None or tapped is None or tapped.signed is None:
            return False
        if custody.spare(errand.colleague.guid) is not None:
            return False
        held = custody.entitlement(errand.colleague.guid)
        proof = Proof(
            errand.colleague.guid,
            tapped.interface,
            Slot.CARD_AUTHENTICATION,
            tapped.signed.key,
        )
        judged = decide(proof, held, custody.place(), None, custody.freshness(), custody.moment())
        # By her tap alone she owes a PIN, and that one she has just proved.
        return not isinstance(judged, Refuse) and isinstance(judged, NeedsPin)

    def vouch_over(self, guid: Guid) -> None:
        """What it opened is locked. Raises JournalFailed."""
        self._desk.line.inside.signon.vouched.pop(guid, None)
        self._desk.line.lock(guid)

    def _given(self, errand: Errand, request: Digest, what: str, until_ms: int | None) -> HelpGiven:
        assert errand.card  # noqa: S101 - looked at by the caller
        return HelpGiven(
            what="puk" if what == "puk" else "session",
            subject=request,
            record=errand.record,
            guid=errand.card.guid,
            holder=errand.card.holder,
            until_ms=until_ms,
            online=what == "puk",
        )


def _set(piv: PivClient, present: list[Pin], following: Pin, new: Pin) -> tuple[PukResult, int]:
    """Each PUK that the card may hold is tried once; the right one gives it all its tries back."""
    for used, puk in enumerate(present):
        try:
            set_pin_by_puk(piv, puk, new)
        except WrongPin:
            continue
        try:
            change_secret(piv, Reference.PUK, puk, following)
        except CardError:
            return PukResult.KEPT, used
        return PukResult.REPLACED, used
    return PukResult.REFUSED, 0


def _reason_in(body: bytes) -> HelpReason:
    try:
        return HelpAnswer.from_bytes(body).reason
    except WireError:
        return HelpReason.MALFORMED


def _pin(puk: bytes) -> Pin:
    return Pin(puk.rstrip(b"\xff").decode("ascii"))
