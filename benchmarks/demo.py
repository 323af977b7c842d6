"""`make demo`: the first minute of an A&E shift on a ward in a box; all real but the cards.

With ``--once`` it ends after the minute: 0 if everything held, 1 if a promise broke (an event lost
or doubled, a tap unproven, a card wrongly refused or admitted), 2 if only a time budget was missed.
It leaves ``build/demo/summary.json``.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import cycle, islice, pairwise
from pathlib import Path
from typing import Any, Final

from benchmarks.board import Board
from benchmarks.ward.evidence import (
    Evidence,
    events,
    gather,
    timings,
    wait_covered,
    wait_delivered,
)
from benchmarks.ward.people import Member
from benchmarks.ward.processes import NotReady, WardError
from benchmarks.ward.site import Ward
from benchmarks.ward.taps import Split, Tap, percentiles, split, tap
from benchmarks.ward.terminals import WardTerminal
from contract.directory import Status
from hardware.virtual.names import Access
from runtime.clock import SystemClock

BUILD: Final = Path("build/demo")
ONLINE_TAPS, OFFLINE_TAPS = 64, 64
AT_LEAST: Final = 60
"""Taps behind each figure: fewer would say little of a p95."""
REVOCATIONS: Final = 10
IDLE_S: Final = 5.0
SIMULATED: Final = [
    (
        "cards: virtual PIV cards, typical contactless profile: 20 ms an exchange, 11.8 kB/s, "
        "60 ms a signature"
    ),
    "readers: vsmartcard's virtual readers behind the real pcscd; detection polls up to 400 ms",
    "network: loopback",
]


@dataclass
class Story:
    """What the minute has shown so far."""

    online: list[Tap] = field(default_factory=list)
    offline: list[Tap] = field(default_factory=list)
    revocation_ms: list[float] = field(default_factory=list)
    """From the gateway's answer until the last terminal judges by it; 0 where that came first."""
    asked_ms: list[float] = field(default_factory=list)
    """The same from the operator's request."""
    broken: list[str] = field(default_factory=list)

    def expect(self, promise: str, *, held: bool) -> None:
        """Notes a broken promise."""
        if not held:
            self.broken.append(promise)


class Minute:
    """The script of the demo, on a working ward."""

    def __init__(self, ward: Ward, board: Board) -> None:
        self.ward = ward
        self.board = board
        self.story = Story()
        self.clock = SystemClock()
        self._asked: dict[int, int] = {}
        self._answered: dict[int, int] = {}

    def play(self) -> None:
        """All of it, in order. A step that fails is a broken promise, not the end of the story."""
        for title, step in (
            ("The shift begins: card in the slot, PIN once", self.sign_on),
            ("Taps: each over the other, at both terminals", self.tap_online),
            ("The same card again", self.same_card),
            ("A contactless card of somebody who owes a PIN", self.strict_contactless),
            ("A card is revoked", self.revoke),
            ("The broker is gone; taps go on", self.tap_offline),
            ("The broker is back; everything is delivered", self.deliver),
        ):
            self.board.title(title)
            try:
                step()
            except (NotReady, WardError) as error:
                self.story.broken.append(f"{title}: {error}")
                self.board.say(f"broken: {error}")

    def people(self, *holders: str) -> list[Member]:
        return [self.ward.member(holder) for holder in holders]

    def at_both(self, work: Callable[[WardTerminal], None]) -> None:
        """Runs ``work(terminal)`` at both terminals at once."""
        with ThreadPoolExecutor(len(self.ward.terminals)) as pool:
            for future in [pool.submit(work, one) for one in self.ward.terminals.values()]:
                future.result()

    def sign_on(self) -> None:
        crew = {
            "bay-1": self.people("h-amal", "h-bronwen"),
            "bay-2": self.people("h-chidi", "h-dafydd"),
        }

        def begin(terminal: WardTerminal) -> None:
            for member in crew[terminal.name]:
                terminal.sign_on_with_pin(member)
                self.board.say(f"{terminal.name}: {member.shown} with PIN")

        self.at_both(begin)

    def rounds(self, count: int, into: list[Tap]) -> None:
        """Taps over and back at both terminals, ``count`` in all."""
        crew = {
            "bay-1": self.people("h-amal", "h-bronwen"),
            "bay-2": self.people("h-chidi", "h-dafydd"),
        }

        def work(terminal: WardTerminal) -> None:
            each = count // len(self.ward.terminals)
            for member in islice(cycle(crew[terminal.name]), each):
                one = tap(terminal, self.ward.box, member)
                into.append(one)
                self.board.tap(one)

        self.at_both(work)

    def tap_online(self) -> None:
        self.rounds(ONLINE_TAPS, self.story.online)

    def same_card(self) -> None:
        (amal,) = self.people("h-amal")
        bay = self.ward["bay-1"]
        tap(bay, self.ward.box, amal)
        again = tap(bay, self.ward.box, amal)
        promise = "the same card within 3 s leaves the session open"
        self.story.expect(promise, held=again.screen == "open")
        self.board.say(f"still you: “{again.words}”")

    def strict_contactless(self) -> None:
        (elena,) = self.people("h-elena")
        asked = tap(
            self.ward["bay-1"],
            self.ward.box,
            elena,
            lambda view: view["screen"] in {"pin", "notice", "refused"},
            access=Access.CONTACTLESS_STRICT,
        )
        promise = "a contactless card that owes a PIN is helped"
        self.story.expect(promise, held=asked.screen != "refused")
        self.board.say(f"Elena M.: “{asked.words}”")
        self.ward["bay-1"].glass.post("cancel")

    def revoke(self) -> None:
        dafydd, chidi = self.people("h-dafydd", "h-chidi")
        tap(self.ward["bay-2"], self.ward.box, chidi)
        for status in islice(cycle((Status.SUSPENDED, Status.ACTIVE)), 2 * REVOCATIONS):
            self._set(dafydd, status)
        self._set(dafydd, Status.SUSPENDED)
        refused = tap(
            self.ward["bay-2"], self.ward.box, dafydd, lambda view: view["screen"] == "refused"
        )
        self.board.say(f"Dafydd R.'s card: “{refused.words}” (reference {refused.reference})")
        self._set(dafydd, Status.ACTIVE)

    def _set(self, member: Member, status: Status) -> None:
        asked_ms = self.clock.wall_ms()
        version = self.ward.set_status(member, status)
        self._asked[version.n], self._answered[version.n] = asked_ms, self.clock.wall_ms()

    def tap_offline(self) -> None:
        self.ward.broker.kill()
        for terminal in self.ward.terminals.values():
            terminal.glass.wait(lambda view: view["link"] == "offline")
        (elena,) = self.people("h-elena")
        self.ward["bay-2"].sign_on_with_pin(elena)
        self.board.say("bay-2: Elena M., who never used it before, with PIN")
        self.rounds(OFFLINE_TAPS, self.story.offline)
        offline = not any(one.online for one in self.story.offline)
        self.story.expect("the terminals know they are offline", held=offline)

    def deliver(self) -> None:
        self.ward.broker.start()
        wait_delivered(self.ward, timeout_s=60.0)
        wait_covered(self.ward)

    def revocations(self, seen: list[dict[str, Any]]) -> None:
        """From the API's answer to the moment when the last terminal judges by it."""
        applied: dict[int, dict[str, int]] = {}
        for event in seen:
            if event["detail"]["kind"] == "trust.changed":
                n = event["detail"]["directory"]["n"]
                applied.setdefault(n, {})[event["terminal"]] = event["wall_ms"]
        everywhere = {n for n, at in applied.items() if at.keys() == self.ward.terminals.keys()}
        heard = {n: max(applied[n].values()) for n in self._answered if n in everywhere}
        if missed := self._answered.keys() - heard.keys():
            self.story.broken.append(f"not every terminal applied versions {sorted(missed)}")
        asked = self._asked
        self.story.revocation_ms = [
            float(max(0, at - self._answered[n])) for n, at in heard.items()
        ]
        self.story.asked_ms = [float(at - asked[n]) for n, at in heard.items()]


def budgets(
    story: Story, splits: dict[str, list[Split]], footprint: dict[str, float]
) -> dict[str, Any]:
    """DESIGN §10, as far as this demo can tell."""
    software = percentiles([one.software_ms for one in splits["online"]])
    offline = percentiles([one.software_ms for one in splits["offline"]])
    usable = percentiles([one.tap.detect_ms + one.tap.total_ms for one in splits["online"]])
    revocation = percentiles(story.revocation_ms)
    covered = [one.covered_ms for one in (*story.online, *story.offline)]
    rows = {
        "software p95 ms": (25.0, software.get("p95")),
        "software p99 ms": (50.0, software.get("p99")),
        "software offline p95 ms": (25.0, offline.get("p95")),
        "tap-to-usable p95 ms": (1000.0, usable.get("p95")),
        "revocation p99 ms": (1000.0, revocation.get("p99")),
        "terminal VmRSS MB (of 1,024 kB)": (64.0, footprint.get("rss_mb")),
        "screen covered p99 ms": (100.0, percentiles(covered).get("p99")),
        "terminal idle CPU %": (1.0, footprint.get("idle_cpu_percent")),
        "terminal start to ready s": (2.0, footprint.get("ready_s")),
    }
    return {
        name: {"limit": limit, "value": value, "held": value is not None and value <= limit}
        for name, (limit, value) in rows.items()
    }


def summarise(minute: Minute, evidence: Evidence | None, folder: Path) -> dict[str, Any]:
    """The summary file's content."""
    story = minute.story
    seen = events(folder) if evidence is not None else []
    minute.revocations(seen)
    told = timings(folder) if evidence is not None else {}
    splits = {"online": split(story.online, told), "offline": split(story.offline, told)}
    for name, taps in (("online", story.online), ("offline", story.offline)):
        enough = len(splits[name]) == len(taps) and len(taps) >= AT_LEAST
        story.expect(f"{AT_LEAST} taps {name} or more, each with its timing event", held=enough)
    for one in (*splits["online"], *splits["offline"]):
        # The daemon's word against the card's: as many exchanges, and no less time in them.
        if one.exchanges != one.tap.exchanges or one.card_ms < one.tap.card_ms - 1.0:
            story.broken.append(f"the card's own record of a tap disagrees: {one}")
    quiet = minute.ward["bay-1"]
    footprint = quiet.footprint() | {"idle_cpu_percent": quiet.idle_cpu_percent(IDLE_S)}
    switches = sum(
        1
        for name in minute.ward.terminals
        for a, b in pairwise(one for one in story.online if one.terminal == name)
        if a.who != b.who
    )
    counts = evidence.to_json() if evidence is not None else {}
    return {
        "taps": len(story.online) + len(story.offline),
        "switches": switches,
        "software_ms": percentiles([one.software_ms for one in splits["online"]]),
        "card_ms": percentiles([one.card_ms for one in splits["online"]]),
        "card_own_record_ms": percentiles([one.card_ms for one in story.online]),
        "flush_ms": percentiles([one.flush_ms for one in splits["online"]]),
        "detect_ms": percentiles([one.detect_ms for one in story.online]),
        "offline": {
            "taps": len(story.offline),
            "software_ms": percentiles([one.software_ms for one in splits["offline"]]),
        },
        "revocation_ms": percentiles(story.revocation_ms),
        "revocation_from_request_ms": percentiles(story.asked_ms),
        "events": {
            name: counts.get(name)
            for name in ("journalled", "stored", "lost", "duplicated", "unproven")
        },
        "checkpoint": {"size": counts.get("checkpoint_size"), "verified": counts.get("verified")},
        "terminal": footprint,
        "exchanges": sorted({one.exchanges for one in story.online + story.offline}),
        "budgets": budgets(story, splits, footprint),
        "broken": story.broken,
        "simulated": SIMULATED,
    }


def judge(summary: dict[str, Any]) -> int:
    """The exit status."""
    counts = summary["events"]
    kept = all(counts[name] == 0 for name in ("lost", "duplicated", "unproven"))
    if summary["broken"] or not kept or not summary["checkpoint"]["verified"]:
        return 1
    return 0 if all(one["held"] for one in summary["budgets"].values()) else 2


def main(argv: list[str] | None = None) -> int:
    """Plays the minute; stays up unless ``--once``."""
    parser = argparse.ArgumentParser(description="The first minute of an A&E shift.")
    parser.add_argument("--once", action="store_true", help="end after the minute")
    once = parser.parse_args(argv).once
    BUILD.mkdir(parents=True, exist_ok=True)
    folder = (BUILD / time.strftime("ward-%Y%m%d-%H%M%S")).absolute()
    board = Board()
    board.title("Building a ward: authority, broker, gateway, two terminals, five cards")
    with Ward(folder) as ward:
        for terminal in ward.terminals.values():
            board.say(f"{terminal.name}: kiosk at {terminal.url}")
        minute = Minute(ward, board)
        minute.play()
        evidence = _evidence(minute, folder / "export")
        summary = summarise(minute, evidence, folder / "export")
        (BUILD / "summary.json").write_text(
            json.dumps(summary, indent=1, ensure_ascii=False) + "\n"
        )
        board.summary(summary)
        if evidence is not None:
            board.say(evidence.words)
        if not once:
            _stay(ward, board)
    if once and not summary["broken"]:
        ward.remove_folder()
    return judge(summary)


def _evidence(minute: Minute, folder: Path) -> Evidence | None:
    try:
        return gather(minute.ward, folder)
    except (WardError, NotReady, OSError) as error:
        minute.story.broken.append(f"no evidence could be gathered: {error}")
        return None


def _stay(ward: Ward, board: Board) -> None:
    terminal = ward["bay-1"]
    member = ward.member("h-amal")
    board.say("\nThe ward stays up; Ctrl-C ends it. Tap a card by hand from another shell:")
    board.say(
        f"  .venv/bin/python -m hardware.virtual tap {member.card} "
        f"--reader-port {terminal.contactless[0].port} --access contactless-strict "
        "--profile typical"
    )
    board.say(f"  PINs: {', '.join(f'{m.shown} {m.pin}' for m in ward.members.values())}")
    board.say("  Contact slot: --reader-port " + str(terminal.contact[0].port) + " --hold 20")
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    ended.wait()


if __name__ == "__main__":
    sys.exit(main())
