"""Terminals that say of their readers what does not fit their ward's policy any more.

A policy is judged when it is changed (`directory.serving`); a reader is changed on some later day,
by whoever has a cable in the hand, and then nobody can give a PIN there.

* Judged of what each terminal said last. That is unsigned, so it decides nothing: it is an event to
  look at, and a mark in the fleet.
* It begins and ends once it has been so for a minute: a reader that is put in again is no finding,
  and a terminal that says one thing after the other fills no journal.
* A terminal that says nothing of its readers (away, or none left) changes nothing: its newest word
  stands.
* What stands when a gateway starts is told anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from contract.directory import EntryKind, TerminalState, parse_entry
from contract.governing import PolicyUnserved
from contract.ids import TerminalId, WardId
from contract.policy import Policy
from contract.serving import Interface, pinless
from gateway.directory.register import Register
from gateway.directory.serving import Heard
from gateway.evidence.journal import Moment
from gateway.evidence.keeping import Evidence
from gateway.store import Store, StoreFailed
from runtime.clock import Clock
from runtime.logs import Trouble

_log: Final = logging.getLogger(__name__)
_S: Final = 1_000_000_000
LOOK_S: Final = 10
SETTLE_S: Final = 60


class Unserved:
    """`look` blocks: `run` calls it in a worker thread. `stands` is for any thread."""

    def __init__(
        self,
        store: Store,
        evidence: Evidence,
        register: Register,
        heard: Callable[[], Heard],
        clock: Clock,
    ) -> None:
        self._store = store
        self._evidence = evidence
        self._register = register
        self._heard = heard
        self._clock = clock
        self._known: dict[TerminalId, frozenset[Interface]] = {}
        self._told: dict[TerminalId, WardId] = {}
        self._since_ns: dict[TerminalId, int] = {}
        """Since when it is otherwise than told."""
        self._trouble = Trouble(_log, "looking at the wards' readers")

    def stands(self, terminal: TerminalId) -> bool:
        """Whether it cannot serve its ward's policy, as the journal has it."""
        return terminal in self._told

    async def run(self) -> None:
        """For ever."""
        while True:
            await self._clock.sleep_until(self._clock.monotonic_ns() + LOOK_S * _S)
            try:
                await asyncio.to_thread(self.look, Moment.of(self._clock))
            except StoreFailed as error:
                self._trouble.failed(str(error))
            else:
                self._trouble.over()

    def look(self, now: Moment) -> None:
        """Raises StoreFailed: then nothing is told, and at the next look it is."""
        found, now_ns = self._found(), self._clock.monotonic_ns()
        named = found.keys() | self._told.keys()
        other = {one for one in named if found.get(one) != self._told.get(one)}
        self._since_ns = {one: self._since_ns.get(one, now_ns) for one in other}
        due = sorted(one for one in other if now_ns - self._since_ns[one] >= SETTLE_S * _S)
        if not due:
            return
        told = dict(self._told)
        details: list[PolicyUnserved] = []
        for terminal in due:
            if (ward := told.pop(terminal, None)) is not None:
                details.append(PolicyUnserved(terminal=terminal, ward=ward, state="ended"))
            if (ward := found.get(terminal)) is not None:
                details.append(PolicyUnserved(terminal=terminal, ward=ward, state="begun"))
                told[terminal] = ward
        with self._evidence.log.appending() as work:
            self._evidence.write_own(work, details, now)
        self._told = told
        for one in details:
            facts = {"terminal": one.terminal, "ward": one.ward, "state": one.state}
            _log.warning("readers that do not serve their ward's policy", extra=facts)

    def _found(self) -> dict[TerminalId, WardId]:
        """Terminals that cannot give a PIN where their ward asks for one."""
        self._known.update(self._heard())
        wards: dict[WardId, dict[TerminalId, frozenset[Interface] | None]] = {}
        for each in self._register.all():
            if each.ward is not None and each.state is TerminalState.ACTIVE:
                wards.setdefault(each.ward, {})[each.terminal] = self._known.get(each.terminal)
        found: dict[TerminalId, WardId] = {}
        with self._store.read() as tx:
            for line in tx.directory.all_entries(EntryKind.POLICY):
                policy = parse_entry(line)
                assert isinstance(policy, Policy)  # noqa: S101 - of this kind
                for terminal in pinless(policy, wards.get(policy.ward, {})):
                    found[terminal] = policy.ward
        return found
