"""A lane: one terminal, its crew and its readers, tapped one card after the other.

What is seen of a tap is seen from outside the daemon: the card's own record, the moment at which a
client of the kiosk has received the holder's open session, the kiosk's answer to her first touch.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any, Final, Self

from benchmarks.sign_on.hand import Hand
from benchmarks.ward.glass import Seen
from benchmarks.ward.pcscd import VirtualReader
from benchmarks.ward.people import Member
from benchmarks.ward.processes import WardError
from benchmarks.ward.site import Ward
from benchmarks.ward.terminals import WardTerminal, is_open_for
from hardware.virtual.names import Access
from runtime.clock import SystemClock

PAIRS: Final = (
    "First Contactless",
    "Second Contactless",
    "Third Contactless",
    "Fourth Contactless",
    "First Contact",
    "Second Contact",
)
"""Eight contactless readers and four slots: a virtual reader needs 0.8 s from card to card."""

CONTACTLESS: Final = Access.CONTACTLESS_LENIENT
"""The same card as the peers', which need the PIN over contactless. We read no more of it for that:
a strict card answers the same three exchanges in the same time."""

_PATIENCE_S: Final = 15.0
POLL_S: Final = 0.4
"""pcscd asks a virtual reader this often. Nobody taps in step with that, so we must not either."""


class Refused(WardError):
    """Somebody was not signed on who should have been: no figure is worth anything then."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One sign-on. Times in milliseconds; a person's own time (at the pad) is in none of them."""

    detect_ms: float
    """Card in the field → the terminal's status wait returns."""
    total_ms: float
    """That return → the kiosk's client has received the holder's open session."""
    usable_ms: float
    """Card in the field → the kiosk has accepted her first touch."""
    card_ms: float
    """By the card's own record: each command's arrival → its answer's departure."""
    exchanges: int
    signed: str
    """The digest that the card signed."""
    online: bool
    quiet_ns: int
    """The card's last answer had left."""
    open_ns: int
    """The client had received the open session."""


class Lane:
    """For one thread. Use `close`."""

    def __init__(self, ward: Ward, terminal: WardTerminal) -> None:
        self.terminal = terminal
        self._box = ward.box
        self._clock = SystemClock()
        self._hand = Hand(terminal)
        self._contactless = cycle(terminal.contactless)
        self._slots = cycle(terminal.contact)
        self._when = random.Random(terminal.name)

    def close(self) -> None:
        """Leaves the kiosk."""
        self._hand.close()

    def begin_shift(self, crew: Sequence[Member]) -> None:
        """Each puts her card into a slot and proves her PIN, so that a tap is enough from then."""
        for member in crew:
            self.with_pin(member, "fast")

    def taps(self, crew: Sequence[Member], count: int, profile: str) -> Iterator[Sample]:
        """Each of the crew in turn, over whoever was there before, at a moment of no reader's."""
        for member, _ in zip(cycle(crew), range(count), strict=False):
            time.sleep(self._when.uniform(0.0, POLL_S))
            yield self.tap(member, profile)

    def first_taps(self, crew: Sequence[Member], count: int, profile: str) -> Iterator[Sample]:
        """The same with PIN, in the contact slot."""
        for member, _ in zip(cycle(crew), range(count), strict=False):
            time.sleep(self._when.uniform(0.0, POLL_S))
            yield self.with_pin(member, profile)

    def tap(self, member: Member, profile: str) -> Sample:
        """A card that is held to the next contactless reader. Raises Refused, NotReady."""
        with _Visit(self, member, next(self._contactless), profile, CONTACTLESS) as visit:
            opened = visit.wait(lambda view: is_open_for(view, member))
            return visit.sample(opened.at_ns - opened.view["seen_ns"], opened, self._hand.touch())

    def with_pin(self, member: Member, profile: str) -> Sample:
        """A card in the next slot, and its PIN the moment the pad is seen."""
        with _Visit(self, member, next(self._slots), profile, Access.CONTACT) as visit:
            pad = visit.wait(lambda view: view["screen"] == "pin")
            seen_ns, entered_ns = int(pad.view["seen_ns"]), self._clock.monotonic_ns()
            self.terminal.glass.post("pin", pin=member.pin)
            opened = visit.wait(lambda view: is_open_for(view, member))
            took_ns = pad.at_ns - seen_ns + opened.at_ns - entered_ns
            return visit.sample(took_ns, opened, self._hand.touch(), seen_ns)


class _Visit:
    """A card in a reader, and what the glass shows of it."""

    def __init__(
        self, lane: Lane, member: Member, reader: VirtualReader, profile: str, access: Access
    ) -> None:
        self._glass = lane.terminal.glass
        self._box = lane._box  # noqa: SLF001 - of the same room
        self._member = member
        self._reader = reader
        self._profile, self._access = profile, access

    def __enter__(self) -> Self:
        self._mark = self._glass.mark()
        told = self._box.insert(
            self._reader.port, self._member.card, profile=self._profile, access=self._access
        )
        self._number, self._inserted_ns = int(told["visit"]), int(told["inserted_ns"])
        return self

    def __exit__(self, *_: object) -> None:
        self._box.remove(self._reader.port)

    def wait(self, wanted: Callable[[dict[str, Any]], bool]) -> Seen:
        """The first such view about this card."""

        def about(view: dict[str, Any]) -> bool:
            mine = (view["seen_ns"] or 0) >= self._inserted_ns
            return mine and (wanted(view) or view["screen"] in {"refused", "offer"})

        seen = self._glass.wait(about, self._mark, _PATIENCE_S)
        if not wanted(seen.view):
            raise Refused(f"{self._member.shown} was told “{seen.view['words']}”")
        return seen

    def sample(
        self, took_ns: int, opened: Seen, touched_ns: int, seen_ns: int | None = None
    ) -> Sample:
        """What it came to."""
        seen_ns = seen_ns or int(opened.view["seen_ns"])
        log = self._box.log(self._member.card, visit=self._number)
        detected_ns = seen_ns - self._inserted_ns
        return Sample(
            detect_ms=detected_ns / 1e6,
            total_ms=took_ns / 1e6,
            usable_ms=(detected_ns + took_ns + touched_ns - opened.at_ns) / 1e6,
            card_ms=log["card_ns"] / 1e6,
            exchanges=len(log["exchanges"]),
            signed=log["signatures"][0]["prepared"][-64:],
            online=opened.view["link"] == "online",
            quiet_ns=max(one["ended_ns"] for one in log["exchanges"]),
            open_ns=opened.at_ns,
        )
