"""How these tests ask: a card is held to a reader, the glass answers, the exported log says why."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any, Final

from benchmarks.ward import taps
from benchmarks.ward.evidence import (
    events,
    on_disk,
    referred,
    verify,
    wait_covered,
    wait_delivered,
)
from benchmarks.ward.glass import Seen
from benchmarks.ward.people import NURSE, Member, Person, person
from benchmarks.ward.processes import NotReady
from benchmarks.ward.site import Ward
from benchmarks.ward.taps import Tap, View
from benchmarks.ward.terminals import WardTerminal, is_open_for
from gateway.evidence import export
from gateway.settings import GatewaySettings
from runtime.settings import load

NOT_HERE: Final = "This card cannot be used here."
"""The one sentence for every card that may not open: who stands beside learns nothing."""

RECOVERY_S: Final = 45.0
"""After a row of failures a link waits up to half a minute before its next try."""

LONG_DAY: Final[dict[str, object]] = {"idle_dim_s": 900, "idle_lock_s": 1800}
"""No screen dims or locks by itself while a test looks elsewhere."""

# Whatever says why a card was turned away; none of it may stand on the glass.
_TELLING: Final = (
    *("revoke", "expire", "suspend", "lost", "stolen", "unknown", "foreign", "copie", "clone"),
    *("blocked", "valid", "stale", "old", "rights", "fault", "key", "hung", "torn", "error"),
)
_OUTCOMES: Final = {"refused", "offered"}


def newcomer(id_: str, full: str, pin: str = "274913") -> Person:
    """Another made-up nurse."""
    return person(id_, full, pin, NURSE)


def with_card(member: Member, card: Path) -> Member:
    """The same person with another card in her hand."""
    return replace(member, card=card)


def tap(
    ward: Ward,
    bay: WardTerminal,
    member: Member,
    wanted: Callable[[View], bool] | None = None,
    **how: Any,  # noqa: ANN401 - as `benchmarks.ward.taps.tap` has it
) -> Tap:
    """A tap as in the ward, by a card that takes no time: nothing is measured here."""
    return taps.tap(bay, ward.box, member, wanted, profile="instant", **how)


def at_work(ward: Ward, bay: WardTerminal, member: Member) -> None:
    """Makes sure that this person's session is the one on the glass."""
    latest = bay.glass.latest
    if latest is not None and latest.view["name"] == member.shown:
        mark = max(0, bay.glass.mark() - 1)
        bay.glass.post("activity")  # a touch ends a notice, and wakes a dimmed screen
        bay.glass.wait(lambda view: is_open_for(view, member), mark)
        return
    known = {"open", "pin", "notice"}
    answer = tap(ward, bay, member, lambda view: view["screen"] in known)
    if answer.screen != "open":
        bay.glass.post("cancel")
        bay.sign_on_with_pin(member)


def turned_away(ward: Ward, bay: WardTerminal, member: Member, **how: Any) -> Tap:  # noqa: ANN401
    """A tap that opens nothing; what the glass said of it. No view on the way to it says why."""
    away, mark = {"refused", "offer"}, bay.glass.mark()
    answer = tap(ward, bay, member, lambda view: view["screen"] in away, **how)
    for seen in bay.glass.since(mark):
        assert seen.view["reason"] is None
        assert not _telling(seen.view["words"])
    return answer


def shows(bay: WardTerminal, wanted: Callable[[View], bool], timeout_s: float = 20.0) -> Seen:
    """The first view that is ``wanted``, from the one now on the glass on."""
    return bay.glass.wait(wanted, max(0, bay.glass.mark() - 1), timeout_s)


def online(ward: Ward, bay: WardTerminal) -> None:
    """Returns when the terminal says so, and the gateway is there to keep it so."""
    ward.wait_linked(timeout_s=RECOVERY_S)
    shows(bay, lambda view: view["link"] == "online", timeout_s=RECOVERY_S)


def mend(ward: Ward) -> None:
    """Starts broker and gateway where they are off; returns when every terminal is online."""
    if not ward.broker.process.alive:
        ward.broker.start()
    if not ward.gateway.alive:
        ward.start_gateway()
    for terminal in ward.terminals.values():
        online(ward, terminal)


def offline(bay: WardTerminal) -> None:
    """Returns when the terminal says so."""
    shows(bay, lambda view: view["link"] == "offline")


def assert_neutral(view: View) -> None:
    """Nothing on the glass says why; a reference leads to the reason in the log."""
    assert not _telling(view["words"]), view["words"]
    assert view["reason"] is None
    assert re.fullmatch(r"[0-9A-F]{4}-\d+", view["reference"] or ""), view["reference"]


def _telling(words: str) -> list[str]:
    return [word for word in _TELLING if re.search(rf"\b{word}", words.lower())]


@dataclass
class Log:
    """What the site's log holds, as its gateway exports it."""

    ward: Ward
    folder: Path

    def __post_init__(self) -> None:
        self._numbers = count(1)
        self.folder.mkdir(parents=True, exist_ok=True)

    def export(self) -> Path:
        """A fresh export of everything that the terminals have written.

        By the code of the gateway's own command, here in this process: a start of Python less.
        """
        wait_delivered(self.ward)
        wait_covered(self.ward)
        folder = self.folder / f"export-{next(self._numbers)}"
        settings = load(GatewaySettings, self.ward.folder / "gateway.toml")
        export.run(settings, folder, lambda _: None)
        return folder

    def events(self) -> list[dict[str, Any]]:
        """Every event in it, each journal's in its order."""
        return sorted(events(self.export()), key=lambda e: (e["journal"], e["sequence"]))

    def outcome(self, tapped: Tap) -> dict[str, Any]:
        """The outcome that a tap's reference names."""
        event = referred(self.events(), tapped.reference)
        assert event["terminal"] == tapped.terminal
        assert event["detail"]["kind"] == "card.outcome"
        detail: dict[str, Any] = event["detail"]
        return detail

    def verified(self) -> None:
        """The auditor's program proves a fresh export."""
        status, words = verify(self.ward, self.export())
        assert status == 0, words


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a terminal's journal, to read on from."""

    ward: Ward
    terminal: str
    at: int

    @classmethod
    def now(cls, ward: Ward, bay: WardTerminal) -> Mark:
        return cls(ward, bay.name, len(on_disk(ward, bay.name)))

    def since(self, kind: str, keep: Callable[[Any], bool] = bool) -> list[dict[str, Any]]:
        """Details of that kind since then, as the terminal's disk has them."""
        details = (event["detail"] for event in on_disk(self.ward, self.terminal)[self.at :])
        return [detail for detail in details if detail["kind"] == kind and keep(detail)]

    def wait_for(self, kind: str, keep: Callable[[Any], bool] = bool) -> dict[str, Any]:
        """The first such detail, as soon as it is on the disk. Raises NotReady."""
        deadline = time.monotonic() + 20.0
        while not (found := self.since(kind, keep)):
            if time.monotonic() > deadline:
                raise NotReady(f"{self.terminal} journalled no such {kind}")
            time.sleep(0.05)
        return found[0]

    def outcomes(self) -> list[tuple[str, str]]:
        """(result, reason) of every outcome since then."""
        return [(one["result"], one["reason"]) for one in self.since("card.outcome")]
