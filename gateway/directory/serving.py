"""Policies that a ward cannot serve are refused, whole (`contract.serving`).

Asked of what stands, of what terminals say of their readers, and of what the request itself brings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from contract.directory import Entry, EntryKind, Removed, Terminal, TerminalState
from contract.ids import TerminalId, WardId
from contract.policy import Policy
from contract.serving import Interface, Interfaces, unservable
from gateway.directory.people import People
from gateway.directory.register import Register
from gateway.directory.requests import RequestRefused
from gateway.store import Transaction

Heard = Mapping[TerminalId, frozenset[Interface]]
"""What terminals said last of their readers; who never said anything, or has none, is left out."""


class PolicyRefused(RequestRefused):
    """A policy that its ward cannot serve. Says what to mend."""


class Serving:
    """Belongs to the directory."""

    def __init__(self, register: Register) -> None:
        self._register = register
        self.heard: Callable[[], Heard] = dict
        """How the fleet says it is."""

    def require(self, tx: Transaction, entries: Callable[[], Iterable[Entry]], now_ms: int) -> None:
        """`entries` gives those of the change, in order, each time anew. Raises PolicyRefused."""
        policies: dict[WardId, Policy] = {}
        terminals = {
            each.terminal: each.ward
            for each in self._register.all()
            if each.state is TerminalState.ACTIVE
        }
        for entry in entries():
            _follow(entry, policies, terminals)
        if not policies:
            return
        heard = self.heard()
        people = People(tx, now_ms).with_entries(entries())
        known = people if people.anybody else None
        for ward, policy in sorted(policies.items()):
            own: Interfaces = {
                name: heard.get(name) for name, where in terminals.items() if where == ward
            }
            if objections := unservable(policy, own, known):
                words = "; ".join(f"{each.field}: {each.words}" for each in objections)
                raise PolicyRefused(f"ward {ward} cannot serve this policy: {words}")


def _follow(
    entry: Entry,
    policies: dict[WardId, Policy],
    terminals: dict[TerminalId, WardId | None],
) -> None:
    match entry:
        case Policy():
            policies[entry.ward] = entry
        case Removed(kind=EntryKind.POLICY):
            policies.pop(WardId(entry.id), None)
        case Terminal(state=TerminalState.ACTIVE):
            terminals[entry.terminal] = entry.ward
        case Terminal():
            terminals.pop(entry.terminal, None)
        case Removed(kind=EntryKind.TERMINAL):
            terminals.pop(TerminalId(entry.id), None)
        case _:
            pass
