"""The ways to each phase of a tap between card and checkpoint, and where it was when a blow fell.

A phase is reached by what can be seen from outside and a seeded offset. What was really hit is
looked at afterwards: a way says so in words, and those go into the histogram.
"""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from itertools import cycle
from pathlib import Path
from typing import Final

from benchmarks.ward import outside
from benchmarks.ward.account import TAP_TIMEOUT_S, Hand, opened_by
from benchmarks.ward.people import Member
from benchmarks.ward.processes import Process
from benchmarks.ward.site import Ward
from benchmarks.ward.terminals import WardTerminal

_BURST: Final = 3
# A typical card is asked within 0.01 s and signs for 0.09 s, commits last 0.2 to 1 ms, a checkpoint
# is made every second.
_ASKED_S: Final = 0.012
_CARD_S, _FLUSH_S, _SOCKET_S, _COMMIT_S, _CHECKPOINT_S = 0.085, 0.0005, 0.05, 0.001, 0.7


class Phase(StrEnum):
    """Where a tap is on its way from the card to a receipt under a checkpoint."""

    CARD = "card computing"
    FLUSH = "journal flush"
    PUBLISHED = "published unreceipted"
    COMMIT = "in commit"
    COMMITTED = "committed before receipt"
    CHECKPOINT = "between checkpoints"


@dataclass
class Blow:
    """A kill in the making: its luck, and the moment at which it fell."""

    victim: Process
    chance: random.Random
    offset_us: int = 0
    at_ns: int = 0

    def fall(self, hand: Hand, most_s: float, least_s: float = 0.0) -> None:
        """SIGKILL, a seeded time from now; soon is likelier than late."""
        wait_s = least_s + (most_s - least_s) * self.chance.random() ** 2
        self.offset_us = round(wait_s * 1e6)
        outside.pause(wait_s)
        self.at_ns = hand.clock.monotonic_ns()
        self.victim.signal(signal.SIGKILL)


class Ways:
    """Taps at one terminal, each into a phase."""

    def __init__(self, ward: Ward, bay: WardTerminal, crew: list[Member], hand: Hand) -> None:
        self._ward = ward
        self._bay = bay
        self._hand = hand
        self._crew = cycle(crew)
        self._to: dict[Phase, Callable[[Blow], str]] = {
            Phase.CARD: self.card_computing,
            Phase.FLUSH: self.journal_flush,
            Phase.PUBLISHED: self.published,
            Phase.COMMIT: self.in_commit,
            Phase.COMMITTED: self.committed,
            Phase.CHECKPOINT: self.between_checkpoints,
        }

    def strike_in(self, phase: Phase, blow: Blow) -> str:
        """Brings a tap there and lets the blow fall; says where it was. Raises WardError."""
        return self._to[phase](blow)

    def tap(self, timeout_s: float = TAP_TIMEOUT_S) -> None:
        """The next person's tap, until her session is on the glass. Raises NotReady."""
        self._hand.tap(self._bay, next(self._crew), timeout_s)

    def card_computing(self, blow: Blow) -> str:
        """The card has had two exchanges, and is at its third."""
        member, box = next(self._crew), self._hand.box
        mark = self._bay.glass.mark()
        with self._hand.holding(self._bay, member, "typical") as inserted_ns:
            box.wait(member.card, 5.0, exchanges=2)
            blow.fall(self._hand, _CARD_S, _ASKED_S)
            if blow.victim is not self._bay.process:
                self._bay.glass.wait(opened_by(member, inserted_ns), mark)
            else:
                box.wait(member.card, 0.3, exchanges=3)
        exchanges = box.log(member.card)["exchanges"]
        visit = exchanges[-1]["visit"]
        third = next((e for e in exchanges if (e["visit"], e["number"]) == (visit, 3)), None)
        if third is None or blow.at_ns < third["started_ns"]:
            return "card not asked yet"
        return Phase.CARD if blow.at_ns <= third["ended_ns"] else "card has answered"

    def journal_flush(self, blow: Blow) -> str:
        """The terminal's journal is written to: for the record, or for the outcome."""
        member, commits = next(self._crew), blow.chance.choice((1, 2))
        journal = outside.journal_of(self._ward, self._bay.name)
        before = len(_kinds(journal))
        mark, watch = self._bay.glass.mark(), outside.WalWatch(journal)
        with self._hand.holding(self._bay, member) as inserted_ns:
            for _ in range(commits):
                watch.wait(5.0)
            blow.fall(self._hand, _FLUSH_S)
            commit = outside.commit_of(journal)
            written = _kinds(journal)[before:]
            if blow.victim is not self._bay.process:
                self._bay.glass.wait(opened_by(member, inserted_ns), mark)
        there = {"card.record": "record", "card.outcome": "outcome"}
        newest = [there[kind] for kind in written if kind in there][-1:] or ["nothing"]
        return f"{newest[0]} on disk, {commit}"

    def published(self, blow: Blow) -> str:
        """A batch lies in the gateway's socket; the gateway stands still."""
        with self._gateway_held():
            cuts = self._unreceipted()
            blow.fall(self._hand, _SOCKET_S)
        return Phase.PUBLISHED if cuts else "not published"

    def in_commit(self, blow: Blow) -> str:
        """The gateway, let go with a burst in its socket, begins to write to its database."""
        log = outside.log_of(self._ward)
        # So that what it writes first is the burst and no checkpoint.
        outside.wait_until("a checkpoint", lambda: not outside.uncovered(self._ward))
        with self._gateway_held(_BURST):
            cuts, watch = self._unreceipted(), outside.WalWatch(log)
        watch.wait(5.0)
        blow.fall(self._hand, _COMMIT_S)
        commit, stand = outside.commit_of(log), outside.stored(self._ward, cuts)
        kept = {cut.digest for cut in self._unreceipted()}
        there = "all" if stand == len(cuts) else "some" if stand else "none"
        receipts = "no receipt" if all(cut.digest in kept for cut in cuts) else "receipts"
        return f"{there} of the burst stored, {receipts}, {commit}"

    def committed(self, blow: Blow) -> str:
        """The batch is a leaf; its receipt cannot arrive, for the broker stands still."""
        with self._gateway_held() as release, outside.stopped(self._ward.broker.process):
            cuts = self._unreceipted()
            release()
            outside.wait_until("the batch is a leaf", lambda: outside.stored(self._ward, cuts) > 0)
            blow.fall(self._hand, _COMMIT_S)
            kept = {cut.digest for cut in self._unreceipted()}
        return Phase.COMMITTED if all(cut.digest in kept for cut in cuts) else "receipted"

    def between_checkpoints(self, blow: Blow) -> str:
        """The log has leaves that no checkpoint covers."""
        outside.wait_until("a checkpoint", lambda: not outside.uncovered(self._ward))
        self.tap()
        outside.wait_until("a new leaf", lambda: outside.uncovered(self._ward) > 0)
        blow.fall(self._hand, _CHECKPOINT_S)
        return Phase.CHECKPOINT if outside.uncovered(self._ward) else "under a checkpoint"

    @contextmanager
    def _gateway_held(self, taps: int = 1) -> Iterator[Callable[[], None]]:
        """The gateway stands still, and batches of so many taps have reached its socket.

        Gives what lets it go on within the block.
        """
        gateway, port = self._ward.gateway, self._ward.broker.port
        with outside.stopped(gateway):
            before = outside.unread_bytes(gateway, port)
            for _ in range(taps):
                self.tap()

            def arrived() -> bool:
                size = sum(cut.size for cut in self._unreceipted())
                return 0 < size <= outside.unread_bytes(gateway, port) - before

            outside.wait_until("the batches lie in the gateway's socket", arrived)
            yield lambda: gateway.signal(signal.SIGCONT)

    def _unreceipted(self) -> list[outside.Cut]:
        return outside.unreceipted(self._ward, self._bay.name)


def _kinds(journal: Path) -> list[str]:
    """The kinds of a journal's events, in order."""
    rows = outside.query(
        journal,
        "SELECT json_extract(CAST(data AS TEXT), '$.detail.kind') FROM event ORDER BY position",
    )
    return [kind for (kind,) in rows]
