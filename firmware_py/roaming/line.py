"""Where roaming joins the terminal's one queue: says whose session is here, hears where it went.

* Each tap that opened or resumed something is told to the other terminals when it has acted and
  been shown: no tap waits for it. It is told again with every question to the site, so at each
  connect and every ten minutes, and when another terminal says an earlier one (`claims`).
* Others' requests are looked at where their holder has a session here; everything else on the
  topic costs a look at its first bytes. What answers a request is loaded when it is needed.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from contract.directory import Slot
from contract.events import CardRecorded, Event, OutcomeResult
from contract.ids import Digest, HolderId, TerminalId
from contract.moving import MoveReason
from contract.signing import sha256
from contract.statements import Heartbeat
from contract.tap import MoveRequest, is_move_request
from contract.wire import decode_base64, encode_base64
from firmware_py import items
from firmware_py.inside import Inside, Panel
from firmware_py.items import Item
from firmware_py.roaming import words
from firmware_py.roaming.claims import FRESH_MS, Claims, Said, TapTime, Verdict
from firmware_py.roaming.heard import Refused, open_request
from firmware_py.roaming.peers import Peers
from firmware_py.roaming.pins import WardPins
from firmware_py.roaming.reserve import Fresh, Reserve
from firmware_py.sessions.values import Session
from firmware_py.signon.pad import Tapped
from firmware_py.site.link import MoveHeard, PinProofHeard
from firmware_py.trust.heard import Asked

if TYPE_CHECKING:
    from firmware_py.roaming.desk import RoamingDesk

_HERE: Final = frozenset(
    {
        OutcomeResult.OPENED,
        OutcomeResult.RESUMED,
        OutcomeResult.WOKEN,
        OutcomeResult.STILL_YOU,
    }
)
AGAIN_MS: Final = 1_000
"""What is contested is said again at most this often: both know the later tap by then."""


@dataclass(frozen=True, slots=True)
class SignedOn:
    """A tap acted, and has been shown."""

    tap: Tapped
    result: OutcomeResult
    session: Session


@dataclass(frozen=True, slots=True)
class SayAgain:
    """Another terminal still said an earlier tap."""


@dataclass(frozen=True, slots=True)
class Pending:
    """The newest tap here, to which a session's state may come from elsewhere."""

    record: Digest
    fresh: Fresh
    until_ms: int
    """Monotonic."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Work of whoever is signed on here that stayed at another terminal."""

    terminal: TerminalId
    words: str
    unsaved: bool
    until_ms: int
    """Site time until which it is kept there."""


class RoamingLine:
    """Belongs to the consumer. Implements `firmware_py.inside.Desk`."""

    name = "moved"

    def __init__(self, inside: Inside) -> None:
        self.inside = inside
        self.peers = Peers(inside)
        self.claims = Claims()
        self.pending: Pending | None = None
        self.elsewhere: dict[HolderId, Elsewhere] = {}
        self._pins = WardPins(inside, self.peers)
        self._reserve = Reserve()
        self._desk: RoamingDesk | None = None
        self._said_ms = -AGAIN_MS
        self._was_held = False
        if inside.parts.roaming is not None:
            inside.signon.seal = self._reserve.seal
            inside.signon.outcomes.on_session = self._acted

    def takes(self, item: Item) -> bool:
        """Whether the item was for us; then it is dealt with. Raises JournalFailed."""
        if self.inside.parts.roaming is None:
            return False
        self._look_at_hold()
        match item:
            case MoveHeard():
                self._heard(item)
            case PinProofHeard():
                self._pins.heard(item)
            case items.RoamingNews(about=SignedOn() as tapped):
                self._signed_on(tapped)
            case items.RoamingNews(about=SayAgain()):
                self._say()
            case items.RoamingNews(about=about):
                self.open().news(about)
            case Asked() | items.JournalBack():
                self.inside.post(items.RoamingNews(SayAgain()))
                return False
            case _:
                return False
        return True

    def panel(self) -> Panel | None:
        """Where other work is of whoever is on the glass."""
        visible = self.inside.stage.visible
        there = self.elsewhere.get(visible.holder) if visible else None
        if there is None:
            return None
        left_ms = there.until_ms - self.inside.parts.custody.freshness().now_ms
        whole_minutes_s = max(0, -(-left_ms // 60_000) * 60)
        return {
            "where": there.terminal,
            "until_s": whole_minutes_s,
            "unsaved": there.unsaved,
            "words": there.words.format(where=there.terminal),
        }

    def publish(self, message: bytes) -> None:
        """On our own topic, if the link stands."""
        assert self.inside.parts.roaming is not None  # noqa: S101 - asked by `takes`
        self.inside.parts.roaming.publish(message)

    def tell(self, holder: HolderId, terminal: TerminalId, words_: str, until_ms: int) -> None:
        """Her work there is shown to her while she is on the glass."""
        standing = {session.holder for session in self.inside.stage.newest.standing}
        self.elsewhere = {who: one for who, one in self.elsewhere.items() if who in standing}
        unsaved = words_ is words.UNSAVED
        self.elsewhere[holder] = Elsewhere(terminal, words_, unsaved, until_ms)

    def _look_at_hold(self) -> None:
        """A hold kept her session open beside another one; when it ends the later tap counts."""
        held = self.inside.stage.newest.hold is not None
        if self._was_held and not held:
            self.inside.post(items.RoamingNews(SayAgain()))
        self._was_held = held

    # --- taps here ----------------------------------------------------------------------------

    def _acted(self, tap: Tapped, result: OutcomeResult, session: Session) -> None:
        """Told when the page has been: what is on the queue already goes before its stream."""
        own = tap.entitlement is not None and tap.entitlement.holder == session.holder
        signed = tap.signed
        # What moves is asked for by a tap: others would refuse a PIN's record in its place.
        by_tap = signed is not None and signed.credential.slot is Slot.CARD_AUTHENTICATION
        moves = signed is not None and signed.holds and by_tap
        if result in _HERE and own and moves:
            news = items.RoamingNews(SignedOn(tap, result, session))
            loop = asyncio.get_running_loop()
            loop.call_soon(loop.call_soon, self.inside.post, news)

    def _signed_on(self, tapped: SignedOn) -> None:
        assert tapped.tap.signed is not None  # noqa: S101 - looked at by `_acted`
        signed, session = tapped.tap.signed, tapped.session
        self._reserve.refill()
        fresh = self._reserve.take(signed.event)
        if fresh is None:
            return
        beat = self.inside.signon.evidence.heartbeat_named_in(signed.event)
        request = MoveRequest(
            record=encode_base64(signed.event),
            signature=encode_base64(signed.signature),
            key=encode_base64(fresh.spki),
            heartbeat=encode_base64(beat.to_bytes()) if beat else None,
        )
        event, record = Event.from_bytes(signed.event), sha256(signed.event)
        assert isinstance(event.detail, CardRecorded)  # noqa: S101 - our own
        beat_ms = Heartbeat.from_bytes(decode_base64(beat.payload)).issued_ms if beat else None
        time = TapTime(beat_ms, event.wall_ms, event.clock, record)
        stage = self.inside.stage
        self.claims.tapped(session.holder, Said(time, request.to_bytes()), stage.newest)
        until_ms = self.inside.parts.custody.monotonic_ms() + FRESH_MS
        self.pending = Pending(record, fresh, until_ms)
        self.elsewhere.pop(session.holder, None)
        self.publish(request.to_bytes())
        if self._desk is not None:
            self._desk.back(session, tapped.result)

    def _say(self) -> None:
        """Whose session is here, if anybody's: when links heal everybody does."""
        now_ms = self.inside.parts.custody.monotonic_ms()
        self.inside.timers.cancel("roaming again")
        if now_ms - self._said_ms < AGAIN_MS:
            after_s = (self._said_ms + AGAIN_MS - now_ms) / 1000
            self.inside.timers.set("roaming again", after_s, items.RoamingNews(SayAgain()))
            return
        said = self.claims.to_say(self.inside.stage.acted)
        if said is not None:
            self._said_ms = now_ms
            self.publish(said.message)

    # --- taps elsewhere -----------------------------------------------------------------------

    def _heard(self, item: MoveHeard) -> None:
        standing = self.inside.stage.newest.standing
        if not standing:
            return
        if not is_move_request(item.data):
            self.open().heard(item)
            return
        holders = {session.holder for session in standing}
        custody, peers = self.inside.parts.custody, self.peers
        try:
            heard = open_request(item.data, item.terminal, custody, holders.__contains__)
        except Refused as error:
            peers.refused(item.terminal, "request", error, item.data)
            return
        if heard is None:
            return
        sessions, now_ms = self.inside.stage.newest, custody.freshness().now_ms
        match self.claims.judge(heard.claim, sessions, now_ms, custody.monotonic_ms()):
            case Verdict.YIELD:
                self.open().give_way(heard)
            case Verdict.CONTEST:
                self._say()
            case Verdict.REPLAYED:
                replayed = Refused(MoveReason.REPLAYED)
                peers.refused(item.terminal, "request", replayed, item.data)
            case Verdict.NOTHING:
                pass

    def key_for(self, record: Digest) -> Fresh | None:
        """That of our newest tap, if it is this one and not long ago."""
        pending = self.pending
        if pending and self.inside.parts.custody.monotonic_ms() >= pending.until_ms:
            self.pending = pending = None
        return pending.fresh if pending and pending.record == record else None

    def forget_key(self, record: Digest) -> None:
        """What was to come by that tap has come."""
        if self.pending and self.pending.record == record:
            self.pending = None

    def open(self) -> RoamingDesk:
        """The rest, from now on."""
        if self._desk is None:
            from firmware_py.roaming.desk import RoamingDesk  # noqa: PLC0415 - loaded when needed

            self._desk = RoamingDesk(self)
        return self._desk
