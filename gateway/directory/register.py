"""The directory's terminals in memory: whose batch key is believed, checked on every message."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from contract.directory import Entry, EntryKind, Removed, Terminal, TerminalState, parse_entry
from contract.ids import TerminalId, WardId
from contract.signing import SoftwareSigner, VerifyKey
from gateway.evidence.journal import SELF
from gateway.store import Store


class NotRegistered(Exception):
    """No terminal of this name is in the directory, or it is retired. Says which."""


@dataclass(frozen=True, slots=True)
class Registered:
    """A terminal as the directory has it."""

    terminal: TerminalId
    ward: WardId | None
    state: TerminalState
    key: VerifyKey


class IsRetired(NotRegistered):
    """It was in use once; `terminal` is how the directory has it."""

    def __init__(self, terminal: Registered) -> None:
        self.terminal = terminal
        super().__init__("the terminal is retired")


class Register:
    """Read from any thread, written when a change was committed; the gateway stands in it too."""

    def __init__(self, own: SoftwareSigner) -> None:
        self._own = Registered(SELF, None, TerminalState.ACTIVE, own.public)
        self._terminals: dict[TerminalId, Registered] = {}

    def load(self, store: Store) -> None:
        """Reads the committed directory. Raises StoreFailed."""
        terminals: dict[TerminalId, Registered] = {}
        with store.read() as tx:
            lines = tx.directory.all_entries(EntryKind.TERMINAL)
            _follow(terminals, (parse_entry(line) for line in lines))
        self._terminals = terminals

    def apply(self, entries: Iterable[Entry]) -> None:
        """Follows a committed change."""
        _follow(self._terminals, entries)

    def active(self, terminal: TerminalId) -> Registered:
        """Raises NotRegistered unless the terminal is in use."""
        known = self.find(terminal)
        if known is None:
            raise NotRegistered("no such terminal in the directory")
        if known.state is not TerminalState.ACTIVE:
            raise IsRetired(known)
        return known

    def find(self, terminal: TerminalId) -> Registered | None:
        return self._own if terminal == SELF else self._terminals.get(terminal)

    def all(self) -> list[Registered]:
        """Terminals by name, without the gateway itself."""
        return [self._terminals[name] for name in sorted(self._terminals)]


def _follow(terminals: dict[TerminalId, Registered], entries: Iterable[Entry]) -> None:
    for entry in entries:
        match entry:
            case Terminal(terminal=name):
                key = VerifyKey.from_base64(entry.batch_key)
                terminals[name] = Registered(name, entry.ward, entry.state, key)
            case Removed(kind=EntryKind.TERMINAL):
                terminals.pop(TerminalId(entry.id), None)
            case _:
                pass
