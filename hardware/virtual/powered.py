"""A card held to a reader: its application, at its pace, with its faults, keeping its record."""

from __future__ import annotations

from contextlib import ExitStack
from threading import Event
from typing import Final, Self

from hardware.apdu import CardTorn
from hardware.virtual.applet import Answer, Applet
from hardware.virtual.behaviour import Behaviour
from hardware.virtual.card import Card
from hardware.virtual.faults import CutAnswer, Hung, Torn, WrongStatus
from hardware.virtual.pace import Pace, RealPace
from hardware.virtual.record import Exchange, Signature

_HEADER: Final = 4
_SW_BYTES: Final = 2


class PoweredCard:
    """One visit of a card to a reader; also a CardChannel for tests without one.

    Used by one thread at a time; :meth:`leave` may come from any thread and ends whatever the
    card is doing. From :meth:`begin` to :meth:`close` the card is held: its file is locked, and
    was read anew.
    """

    def __init__(self, card: Card, behaviour: Behaviour, pace: Pace | None = None) -> None:
        """Prepare the visit; nothing is held yet."""
        self.card = card
        self.behaviour = behaviour
        self._pace = pace or RealPace()
        self._applet = Applet(card, behaviour.access, behaviour.quirks)
        self._gone = Event()
        self._held = ExitStack()
        self._number = 0
        self.visit = 0
        self.exchanges = 0
        self.signatures = 0
        self.inserted_ns = 0
        self.powered_ns: int | None = None
        """When the reader first gave power: the card was seen then, not when it was put in."""

    def begin(self) -> None:
        """Hold the card. Raises CardFileError while it is in another reader."""
        self._held.enter_context(self.card.held())
        self.visit = self.card.record.next_visit()
        self.inserted_ns = self._pace.now_ns()

    def close(self) -> None:
        """Take the card away and let go of it."""
        self.leave()
        self._held.close()

    def __enter__(self) -> Self:
        """As :meth:`begin`."""
        self.begin()
        return self

    def __exit__(self, *_: object) -> None:
        """As :meth:`close`."""
        self.close()

    def leave(self) -> None:
        """The card is taken away: an exchange under way ends in CardTorn."""
        self._gone.set()

    def wait_for(
        self, timeout_s: float, *, exchanges: int = 0, signatures: int = 0, powered: bool = False
    ) -> bool:
        """Whether this visit comes to so many exchanges and signatures, and to power, in time.

        An exchange counts once its answer is on its way (or will never be).
        """
        return self.card.record.wait_for(
            lambda: (
                self.exchanges >= exchanges
                and self.signatures >= signatures
                and (not powered or self.powered_ns is not None)
            ),
            timeout_s,
        )

    @property
    def gone(self) -> Event:
        """Set once the card was taken away."""
        return self._gone

    def power_on(self) -> None:
        """The reader gives power; the first time is noted in ``powered_ns``."""
        if self.powered_ns is None:
            self.powered_ns = self._pace.now_ns()
            self.card.record.tell()

    def power_off(self) -> None:
        """The reader takes power away."""
        self._applet.power_off()

    def reset(self) -> None:
        """The reader resets the card."""
        self._applet.reset()

    def transmit(self, apdu: bytes) -> bytes:
        """The card's answer, after the time that its profile says. Raises CardTorn."""
        started = self._pace.now_ns()
        self._number += 1
        faults = self.behaviour.faults
        hung = any(isinstance(one, Hung) and one.at == self._number for one in faults)
        torn = any(isinstance(one, Torn) and one.after < self._number for one in faults)
        if hung:
            self._pace.wait(None, self._gone)
            self._note(apdu, Answer(b""), started, self._pace.now_ns(), "hung")
            raise CardTorn("the card was taken away before it answered")
        answer, fault = self._answer(apdu)
        computed = self._pace.now_ns()
        seconds = self.behaviour.profile.duration_s(len(apdu) + len(answer.raw), answer.work)
        if torn:
            seconds /= 2  # in the middle of its work
        left = self._pace.wait(started + round(seconds * 1e9), self._gone)
        if torn or left:
            self._note(apdu, Answer(b"", signed=answer.signed), started, computed, "torn")
            self.leave()
            raise CardTorn("the card was taken away in the middle of a command")
        self._note(apdu, answer, started, computed, fault)
        return answer.raw

    def _answer(self, apdu: bytes) -> tuple[Answer, str | None]:
        for fault in self.behaviour.faults:
            if isinstance(fault, WrongStatus) and self._strikes(fault, apdu):
                return Answer(fault.sw.to_bytes(2, "big")), "status"
        answer = self._applet.process(apdu)
        for fault in self.behaviour.faults:
            if isinstance(fault, CutAnswer) and self._strikes(fault, apdu):
                return Answer(_cut(answer.raw, fault), answer.work, answer.signed), "cut"
        return answer, None

    def _strikes(self, fault: WrongStatus | CutAnswer, apdu: bytes) -> bool:
        if fault.at is not None and fault.at != self._number:
            return False
        return fault.ins is None or apdu[1:2] == bytes((fault.ins,))

    def _note(
        self, apdu: bytes, answer: Answer, started: int, computed: int, fault: str | None
    ) -> None:
        """Write the exchange down: lengths and times, and the signature if one was made."""
        ended = self._pace.now_ns()
        _, ins, p1, p2 = apdu[:_HEADER].ljust(_HEADER, b"\0")
        sw = int.from_bytes(answer.raw[-_SW_BYTES:], "big") if answer.raw else None
        exchange = Exchange(
            visit=self.visit,
            number=self._number,
            ins=ins,
            p1=p1,
            p2=p2,
            command_bytes=len(apdu),
            answer_bytes=len(answer.raw),
            sw=sw,
            started_ns=started,
            ended_ns=ended,
            computed_ns=computed - started,
            slept_ns=ended - computed,
            fault=fault,
        )
        signatures: tuple[Signature, ...] = ()
        if answer.signed is not None:
            signed = answer.signed
            signatures = (
                Signature(
                    self.visit,
                    self._number,
                    signed.slot,
                    signed.algorithm,
                    signed.prepared,
                    signed.signature,
                    computed,
                ),
            )
        self.exchanges += 1
        self.signatures += len(signatures)
        self.card.record.add(exchange, signatures)


def _cut(raw: bytes, fault: CutAnswer) -> bytes:
    if fault.bare:
        return raw[: max(_SW_BYTES, fault.keep)]
    return raw[:-_SW_BYTES][: fault.keep] + raw[-_SW_BYTES:]
