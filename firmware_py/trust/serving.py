"""A policy that this terminal cannot serve, or cannot read (`contract.serving`).

The gateway refuses such a policy; whoever receives one all the same goes on by what of it can be
served, the contract's defaults in the place of the rest, and raises an alarm: once for a policy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from contract.directory import Terminal, TerminalState
from contract.ids import TerminalId
from contract.policy import GraceScope, Policy
from contract.serving import Interface, served, unservable
from firmware_py.trust.here import Place

NO_READERS: Final[frozenset[Interface]] = frozenset()


class Served:
    """What is left of a ward's policy here. Belongs to `Custody`."""

    def __init__(
        self, find: Callable[[TerminalId], Terminal | None], sound: Callable[[Policy, str], None]
    ) -> None:
        """`find` looks into the register; `sound` is told of what cannot be served, and why."""
        self.interfaces: Callable[[], frozenset[Interface]] = lambda: NO_READERS
        """Of the readers that answer now; none: not known."""
        self._find = find
        self._sound = sound
        self._judged: Place | None = None
        self._served: Place | None = None
        self._told: Policy | None = None

    def place(self, place: Place) -> Place:
        """The same with a policy that can be served. Of a place seen before, from memory."""
        if place is self._judged and self._served is not None:
            return self._served
        self._served, self._judged = self._serve(place), place
        return self._served

    def _serve(self, place: Place) -> Place:
        if place.unread:
            self._tell(place.policy, place.unread)
            return place
        if place.terminal is None:
            return place
        objections = unservable(place.policy, self._ward(place.policy, place.terminal))
        if not objections:
            self._told = None
            return place
        self._tell(place.policy, "; ".join(f"{each.field}: {each.words}" for each in objections))
        return replace(place, policy=served(place.policy, objections))

    def _ward(
        self, policy: Policy, here: Terminal
    ) -> dict[TerminalId, frozenset[Interface] | None]:
        """Of the ward's terminals this one, and those that the policy names."""
        # Where a PIN given elsewhere counts here, this terminal alone says nothing about it.
        shared = policy.grace_scope is GraceScope.WARD
        found = {here.terminal: None if shared else self.interfaces() or None}
        for name in policy.break_glass.without_card if policy.break_glass else ():
            other = self._find(name)
            if other and other.ward == here.ward and other.state is TerminalState.ACTIVE:
                found.setdefault(name, None)
        return found

    def _tell(self, policy: Policy, why: str) -> None:
        if policy != self._told:
            self._told = policy
            self._sound(policy, why)
