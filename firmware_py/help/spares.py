"""Spares: an assignment on its way to the gateway, and what the ward hears of it meanwhile.

Kept before it is sent, so that a restart loses none. While the gateway is away it is valid here, is
said to the ward on this terminal's own topic again and again, and sent until it is judged; refused
then, it is taken back, locked, and an alarm.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from contract.events import AlarmCode
from contract.help import HelpAnswer, HelpRefused, SpareAssignment, SpareTerms
from contract.helping import HelpGiven, HelpReason
from contract.ids import Digest
from contract.journal import join_lines
from contract.signing import sha256
from contract.wire import WireError
from firmware_py.card.records import SignedRecord
from firmware_py.fetch import FetchFailed
from firmware_py.help.errand import GIVEN, GIVEN_HERE, NOT_GIVEN, Errand, proof_of
from firmware_py.help.kept import Kept
from firmware_py.help.ward import WardSpares
from firmware_py.site.link import HelpHeard
from firmware_py.trust.store import DirectoryDamaged, DirectoryFailed
from runtime.durable import StorageError

if TYPE_CHECKING:
    from firmware_py.help.desk import HelpDesk

LOG: Final = logging.getLogger("tapover.help")
_S: Final = 1_000_000_000
ANSWER_S: Final = 4.0
"""Whoever stands there waits no longer for the gateway."""
AGAIN_NS: Final = 5 * _S
"""Between two tries to have it judged, and two sayings to the ward."""
_DIGEST_CHARS: Final = 64
# What an honest peer says again because it has not heard yet.
_STALE: Final = frozenset({HelpReason.SPARE_USED, HelpReason.NOT_NOW})


@dataclass(frozen=True, slots=True)
class Answered:
    """The gateway's answer to an assignment; null: none came."""

    digest: Digest
    answer: HelpAnswer | None
    given: HelpGiven | None
    """Of the one that somebody waits for."""

    def tell(self, desk: HelpDesk) -> None:
        desk.spares.answered(self)


class SpareOffice:
    """Belongs to the consumer."""

    def __init__(self, desk: HelpDesk) -> None:
        self._desk = desk
        self._ward = WardSpares(desk.custody)
        self._kept = Kept.load(desk.tools.path)
        self._terminal = desk.custody.kept.terminal
        self._sending: asyncio.Task[None] | None = None
        desk.custody.provisional = self._ward.entitlement
        for terminal, message in tuple(self._kept.messages.values()):
            self._put_in_force(message, terminal)
        self._send_on()

    # --- our own ------------------------------------------------------------------------------

    def send(self, errand: Errand, signed: SignedRecord) -> None:
        """The lead's PIN stands behind it, and that is durable."""
        terms = errand.terms
        assert isinstance(terms, SpareTerms)  # noqa: S101 - the errand is about a spare
        envelope = SpareAssignment(
            site=terms.site,
            terminal=terms.terminal,
            terms=sha256(errand.line),
            proof=proof_of(signed),
        ).seal(self._desk.tools.batch)
        message = join_lines(envelope, [errand.line])
        given = HelpGiven(
            what="spare",
            subject=envelope.digest,
            record=errand.record,
            guid=terms.spare,
            holder=terms.holder,
            until_ms=terms.until_ms,
            online=True,
        )
        try:
            room = self._kept.add(envelope.digest, self._terminal, message)
        except StorageError as error:
            LOG.warning("an assignment cannot be kept", extra={"why": str(error)})
            room = False
        if not room:
            self._desk.give_up(NOT_GIVEN, terms.spare)
            return
        self._desk.later(self._ask(envelope.digest, message, given))

    async def _ask(self, digest: Digest, message: bytes, given: HelpGiven | None) -> None:
        answer = None
        try:
            async with asyncio.timeout(ANSWER_S):
                body = await self._desk.tools.ask("spare", message, HelpAnswer.CAP)
            answer = HelpAnswer.from_bytes(body)
        except (FetchFailed, TimeoutError, WireError) as error:
            LOG.info("an assignment is not judged yet", extra={"why": str(error)})
        self._desk.post(Answered(digest, answer, given))

    def answered(self, news: Answered) -> None:
        """Raises JournalFailed."""
        desk, kept = self._desk, self._kept.messages.get(news.digest)
        granted = news.answer is not None and news.answer.reason is HelpReason.GRANTED
        if news.answer is not None:
            self._forget(news.digest)
            if not granted:
                self._refused(news.digest, news.answer.reason)
        if news.given is None:
            return
        sentence = GIVEN if granted else NOT_GIVEN
        if news.answer is None and kept is not None:
            granted = self._put_in_force(kept[1], self._terminal)
            sentence = GIVEN_HERE if granted else NOT_GIVEN
            if not granted:
                self._forget(news.digest)
        if granted:
            online, at = news.answer is not None, desk.line.inside.parts.journal.next_sequence
            desk.note(news.given.model_copy(update={"online": online}))
            desk.say(sentence, at)
            desk.drop()
        else:
            desk.give_up(sentence, news.given.guid)
        self._send_on()

    def _refused(self, digest: Digest, reason: HelpReason) -> None:
        """The gateway does not carry it out: what it gave here is locked, and the ward told."""
        self._desk.line.inside.parts.sound(AlarmCode.HELP_REFUSED, digest, str(reason))
        if (spare := self._ward.take_back(digest)) is not None:
            self._desk.line.lock(spare)
            self._desk.later(self._say(digest.encode()))

    def _send_on(self) -> None:
        """Says and sends what is ours until it is judged."""
        if self._sending is None and self._own():
            self._sending = asyncio.ensure_future(self._send_until_judged())

    def _own(self) -> list[tuple[Digest, bytes]]:
        kept = self._kept.messages.items()
        return [(digest, message) for digest, (who, message) in kept if who == self._terminal]

    async def _send_until_judged(self) -> None:
        clock = self._desk.line.inside.parts.clock
        try:
            while own := self._own():
                for digest, message in own:
                    await self._say(message)
                    await self._ask(digest, message, None)
                await clock.sleep_until(clock.monotonic_ns() + AGAIN_NS)
        finally:
            self._sending = None

    async def _say(self, payload: bytes) -> None:
        await self._desk.tools.publish(payload)

    # --- the ward's ---------------------------------------------------------------------------

    def heard(self, item: HelpHeard) -> None:
        """An assignment, or the digest of one that is taken back, from the terminal that made it.

        That it was this terminal is the broker's word; what it gives is the lead's.
        """
        if len(item.data) == _DIGEST_CHARS:
            self._take_back(item)
        else:
            digest = sha256(item.data.partition(b"\n")[0])
            if not self._ward.knows(digest) and self._put_in_force(item.data, item.terminal):
                self._keep(digest, item)

    def _take_back(self, item: HelpHeard) -> None:
        digest = Digest(item.data.decode("ascii", "replace"))
        kept = self._kept.messages.get(digest)
        if kept is not None and kept[0] == item.terminal:
            self._forget(digest)
            if (spare := self._ward.take_back(digest)) is not None:
                self._desk.line.lock(spare)

    def _put_in_force(self, message: bytes, terminal: str) -> bool:
        """Whether it counts here from now on."""
        try:
            provisional = self._ward.judge(message, terminal)  # type: ignore[arg-type]
            losers = self._ward.add(provisional)
        except HelpRefused as refused:
            digest = sha256(message.partition(b"\n")[0])
            if refused.reason not in _STALE:
                self._desk.line.inside.parts.sound(AlarmCode.HELP_REFUSED, digest, str(refused))
            return False
        except (DirectoryDamaged, DirectoryFailed) as error:
            LOG.warning("help cannot be judged", extra={"why": str(error)})
            return False
        for loser in losers:
            self._desk.line.lock(loser.assigned.terms.spare)
        return True

    def _keep(self, digest: Digest, item: HelpHeard) -> None:
        try:
            self._kept.add(digest, item.terminal, item.data)
        except StorageError as error:
            LOG.warning("a peer's assignment is not kept", extra={"why": str(error)})

    def directory_changed(self) -> None:
        """What the directory knows by now counts by it alone."""
        own = {digest for digest, _ in self._own()}
        try:
            settled = self._ward.settled()
        except (DirectoryDamaged, DirectoryFailed) as error:
            LOG.warning("help cannot be judged", extra={"why": str(error)})
            return
        for digest in settled:
            if digest not in own:
                self._forget(digest)

    def _forget(self, digest: Digest) -> None:
        try:
            self._kept.forget(digest)
        except StorageError as error:
            LOG.warning("an assignment is kept too long", extra={"why": str(error)})
