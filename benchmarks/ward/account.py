"""What a driver saw, held against the log: each signature of a card, each OPEN on a glass.

The daemons' own counts are not asked. The driver knows which card it held to which terminal and
when; the card's record knows what it signed meanwhile; the kiosk showed whose session was open.

- A signature serves one outcome, or none where its terminal was killed during the visit.
- Every OPEN that a kiosk showed has an outcome in the log, signed by that holder's card.
- Every outcome that claims a card carries what a card of the ward remembers signing.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from benchmarks.ward.evidence import CLAIMS_A_CARD
from benchmarks.ward.glass import Seen
from benchmarks.ward.people import Member
from benchmarks.ward.site import Ward
from benchmarks.ward.terminals import WardTerminal, is_open_for
from contract.tap import card_digest
from hardware.virtual.control import BoxError, CardBox
from hardware.virtual.names import Access, Slot
from runtime.clock import SystemClock

SIGNED_ON: Final = frozenset({"opened", "resumed", "still-you", "woken"})
"""Results after which a glass may show a session open."""

TAP_TIMEOUT_S: Final = 10.0
View = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Visit:
    """One card held to one reader, by the driver's clock (monotonic nanoseconds)."""

    terminal: str
    member: Member
    number: int
    """As the card counts its visits."""
    inserted_ns: int
    removed_ns: int


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature in a card's record: what was signed, and the result, in hexadecimal."""

    visit: Visit
    digest: str
    signature: str


@dataclass
class Hand:
    """Holds cards to readers, and remembers each visit. Threads may share it."""

    box: CardBox
    visits: list[Visit] = field(default_factory=list)
    clock: SystemClock = field(default_factory=SystemClock)

    @contextmanager
    def holding(
        self, terminal: WardTerminal, member: Member, profile: str = "instant"
    ) -> Iterator[int]:
        """The card at a contactless reader inside the block; gives when it was put there."""
        port, access = terminal.next_contactless().port, Access.CONTACTLESS_STRICT
        with self._visit(terminal, member, port, profile, access) as inserted_ns:
            yield inserted_ns

    def tap(self, terminal: WardTerminal, member: Member, timeout_s: float = TAP_TIMEOUT_S) -> Seen:
        """A tap, until the glass shows the holder's open session. Raises NotReady."""
        mark = terminal.glass.mark()
        with self.holding(terminal, member) as inserted_ns:
            return terminal.glass.wait(opened_by(member, inserted_ns), mark, timeout_s)

    def sign_on(self, terminal: WardTerminal, member: Member) -> None:
        """Card into the slot, PIN at the pad, card out once the session is open."""
        mark, port = terminal.glass.mark(), terminal.next_contact().port
        with self._visit(terminal, member, port, "instant", Access.CONTACT):
            terminal.glass.wait_screen("pin", mark=mark)
            terminal.glass.post("pin", pin=member.pin)
            terminal.glass.wait(lambda view: is_open_for(view, member), mark)

    @contextmanager
    def _visit(
        self, terminal: WardTerminal, member: Member, port: int, profile: str, access: Access
    ) -> Iterator[int]:
        told = self.box.insert(port, member.card, profile=profile, access=access)
        inserted_ns = int(told["inserted_ns"])
        try:
            yield inserted_ns
        finally:
            with suppress(BoxError):
                self.box.remove(port)
            removed_ns = self.clock.monotonic_ns()
            visit = Visit(terminal.name, member, int(told["visit"]), inserted_ns, removed_ns)
            self.visits.append(visit)

    def signatures(self) -> list[Signed]:
        """What the cards say they signed in these visits, but for meeting their own PIN pad.

        9E signs once in a visit for its tap; when it signs again, the card shows that it is still
        the one, before it is given a PIN: nothing of that is a record.
        """
        visits = {(v.member.person.holder.id, v.number): v for v in tuple(self.visits)}
        members = {v.member.person.holder.id: v.member for v in visits.values()}
        found, tapped = [], set()
        for holder, member in members.items():
            for one in self.box.log(member.card)["signatures"]:
                place = (holder, one["visit"])
                met = one["slot"] == Slot.CARD_AUTHENTICATION and place in tapped
                tapped.add(place)
                if place in visits and not met:
                    found.append(Signed(visits[place], one["prepared"][-64:], one["signature"]))
        return found


def opened_by(member: Member, inserted_ns: int) -> Callable[[View], bool]:
    """Tells a view that shows the member's session open because of a card put in at that time."""
    return lambda view: is_open_for(view, member) and (view["seen_ns"] or 0) >= inserted_ns


@dataclass(frozen=True, slots=True)
class Death:
    """A terminal was killed (monotonic nanoseconds)."""

    terminal: str
    at_ns: int


@dataclass
class Account:
    """Where the log and the driver differ, a sentence each; all three empty where all is well."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    unproven: list[str] = field(default_factory=list)
    shown: int = 0
    """OPENs on the kiosks, each with its outcome."""
    signed: int = 0
    unspent: int = 0
    """Signatures of taps that a kill of their terminal cut short, without an outcome."""

    def differences(self) -> list[str]:
        """All of them."""
        return [*self.lost, *self.doubled, *self.unproven]


def account(
    hand: Hand,
    shown: Iterable[tuple[str, Seen]],
    deaths: Sequence[Death],
    bodies: Iterable[bytes],
) -> Account:
    """Holds what was seen against the events of an export, or of one journal.

    ``shown`` are views by terminal; ``bodies`` may hold other records, which are passed over.
    """
    book, outcomes, signed = Account(), _Outcomes(bodies), hand.signatures()
    for one in signed:
        served = outcomes.carrying(one.signature)
        interrupted = any(_died_during(one.visit, death) for death in deaths)
        book.signed += 1
        if len(served) > 1:
            book.doubled.append(f"{_words(one.visit)}: one signature serves {len(served)} outcomes")
        if not served and not interrupted:
            book.lost.append(f"{_words(one.visit)}: the card signed, and no outcome tells of it")
        book.unspent += not served
    genuine = {(one.digest, one.signature): one for one in signed}
    book.unproven += [
        f"{outcome['terminal']} {outcome['sequence']}: {outcome['detail']['result']}, unsigned"
        for outcome in outcomes.claiming
        if (outcomes.digest_of(outcome), _signature(outcome)) not in genuine
    ]
    visits = tuple(hand.visits)
    for terminal, seen in _openings(shown):
        visit = _visit_of(visits, terminal, seen)
        proofs = [o for one in signed if one.visit is visit for o in outcomes.of(one)]
        if visit is None or not any(_opens(outcome, visit) for outcome in proofs):
            whom = f"{terminal} showed {seen.view['name']} open at {seen.at_ns}"
            book.lost.append(f"{whom}, and no outcome with that holder's signature tells of it")
        book.shown += 1
    return book


def everything_shown(ward: Ward) -> list[tuple[str, Seen]]:
    """Every view of every kiosk so far."""
    return [(name, seen) for name, one in ward.terminals.items() for seen in one.glass.since(0)]


def exported_bodies(folder: Path) -> list[bytes]:
    """The bodies of an export, as they stand there."""
    return (folder / "bodies").read_bytes().splitlines()


class _Outcomes:
    """The card records and outcomes among some events."""

    def __init__(self, bodies: Iterable[bytes]) -> None:
        self._records: dict[tuple[str, int], str] = {}
        self._by_signature: dict[str, list[dict[str, Any]]] = {}
        self.claiming: list[dict[str, Any]] = []
        for body in bodies:
            event = json.loads(body)
            kind = event.get("detail", {}).get("kind")
            if kind == "card.record":
                self._records[event["journal"], event["sequence"]] = card_digest(body).hex()
            elif kind == "card.outcome":
                self._by_signature.setdefault(_signature(event), []).append(event)
                if event["detail"]["result"] in CLAIMS_A_CARD:
                    self.claiming.append(event)

    def carrying(self, signature: str) -> list[dict[str, Any]]:
        """Outcomes with this signature."""
        return self._by_signature.get(signature, [])

    def of(self, signed: Signed) -> list[dict[str, Any]]:
        """Outcomes with this signature, over the record that they name."""
        found = self.carrying(signed.signature)
        return [one for one in found if self.digest_of(one) == signed.digest]

    def digest_of(self, outcome: dict[str, Any]) -> str:
        """Of the record that an outcome names, as a card signs it; empty without one."""
        return self._records.get((outcome["journal"], outcome["detail"]["record"]), "")


def _signature(outcome: dict[str, Any]) -> str:
    return base64.b64decode(outcome["detail"]["signature"] or "").hex()


def _opens(outcome: dict[str, Any], visit: Visit) -> bool:
    detail = outcome["detail"]
    ours = outcome["terminal"] == visit.terminal
    whose = detail["holder"] == visit.member.person.holder.id
    return ours and whose and detail["result"] in SIGNED_ON


def _openings(shown: Iterable[tuple[str, Seen]]) -> list[tuple[str, Seen]]:
    """The first view of each opening: a view is sent again when something beside it changes."""
    first: dict[tuple[str, str, int], tuple[str, Seen]] = {}
    for terminal, seen in shown:
        if seen.screen == "open":
            key = (terminal, str(seen.view["name"]), int(seen.view["seen_ns"] or 0))
            first.setdefault(key, (terminal, seen))
    return list(first.values())


def _visit_of(visits: Sequence[Visit], terminal: str, seen: Seen) -> Visit | None:
    """The visit that led to a view: by where, who, and when the terminal saw a card arrive."""
    seen_ns = int(seen.view["seen_ns"] or 0)
    for visit in visits:
        here = visit.terminal == terminal and visit.member.shown == seen.view["name"]
        if here and visit.inserted_ns <= seen_ns <= visit.removed_ns:
            return visit
    return None


def _died_during(visit: Visit, death: Death) -> bool:
    here = death.terminal == visit.terminal
    return here and visit.inserted_ns <= death.at_ns <= visit.removed_ns


def _words(visit: Visit) -> str:
    return f"{visit.member.shown} at {visit.terminal}, visit {visit.number}"


def twice(bodies: Iterable[bytes]) -> int:
    """Events that share terminal, journal and sequence with another one."""
    events = (json.loads(body) for body in bodies)
    places = Counter(
        (event["terminal"], event["journal"], event["sequence"])
        for event in events
        if event["type"] == "tapover/event/v1"
    )
    return sum(count - 1 for count in places.values())
