"""What a change takes besides people: spares, terminals, and roles that a ward no longer lets in.

A bad feed of these closes a ward as well as one of people does. So:

- More than one spare taken stops where more than 20 are, or where none is left.
- More than 20 terminals retired stop, cut into many requests too (`guard`); so do several at once
  that are a ward's last. One terminal alone is retired now: it may have been stolen.
- A policy that shuts people out of a ward is counted as if it ended them there: more than 20, or
  more than one and more than one in fifty, wait for a second operator.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from contract.administration import MOST_ENDED, ONE_IN, Stop
from contract.directory import (
    Entry,
    EntryKind,
    Key,
    Removed,
    Spare,
    Status,
    Terminal,
    TerminalState,
    entry_key,
    parse_entry,
)
from contract.ids import WardId
from contract.policy import Policy
from gateway.directory.people import shut_out, shuts_out
from gateway.store import ClaimKind, Ending, Past, Transaction

KINDS: Final = (EntryKind.SPARE, EntryKind.TERMINAL, EntryKind.POLICY)
_NO_SALT: Final = "0" * 32


@dataclass
class Taken:
    """Gathered entry by entry."""

    spares: list[str] = field(default_factory=list)
    terminals: dict[str, WardId] = field(default_factory=dict)
    policies: list[tuple[Policy, Policy]] = field(default_factory=list)
    """Before and after, where that shuts a role out."""

    def __bool__(self) -> bool:
        return bool(self.spares or self.terminals or self.policies)

    def add(self, before: Entry | None, after: Entry) -> None:
        """An entry as it stands, and what comes in its place."""
        gone = isinstance(after, Removed)
        match before:
            case Spare(status=Status.ACTIVE):
                if gone or (isinstance(after, Spare) and after.status is not Status.ACTIVE):
                    self.spares.append(before.guid)
            case Terminal(state=TerminalState.ACTIVE):
                retired = isinstance(after, Terminal) and after.state is TerminalState.RETIRED
                if gone or retired:
                    self.terminals[before.terminal] = before.ward
            case Policy() | None if isinstance(after, Policy):
                was = before or Policy(ward=after.ward, salt=_NO_SALT)
                if shuts_out(was, after):
                    self.policies.append((was, after))
            case _:
                pass

    def join(self, other: Taken) -> None:
        """Of another request of the same set."""
        self.spares += other.spares
        self.terminals |= other.terminals
        self.policies += other.policies

    def endings(self) -> Iterator[Ending]:
        """What is remembered of it for a day."""
        for name, ward in self.terminals.items():
            yield Ending(ClaimKind.TERMINAL, name, ward)


@dataclass(frozen=True, slots=True)
class Weighed:
    """How much it is: numbers for the findings, and why it stops."""

    spares: int = 0
    terminals: int = 0
    shut_out: int = 0
    stops: tuple[Stop, ...] = ()


def taken_by(standing: Mapping[Key, bytes], entries: Iterable[Entry]) -> Taken:
    """What entries take of what stands."""
    taken = Taken()
    for entry in entries:
        key = entry_key(entry)
        if key[0] in KINDS:
            line = standing.get(key)
            taken.add(parse_entry(line) if line else None, entry)
    return taken


def weigh(
    tx: Transaction,
    taken: Taken,
    lately: Iterable[Past],
    operator: str,
    window_ms: int,
    now_ms: int,
) -> Weighed:
    """Counts it. `lately`: what was ended within a day; within `window_ms` anybody's counts."""
    stops: list[Stop] = []
    if len(taken.spares) > 1 and (
        len(taken.spares) > MOST_ENDED or not _spares_left(tx, set(taken.spares))
    ):
        stops.append(Stop.SPARES)
    if taken.terminals and _too_many_terminals(tx, taken, lately, operator, now_ms - window_ms):
        stops.append(Stop.TERMINALS)
    people: set[str] = set()
    wards = _wards(tx, set(taken.terminals)) if taken.policies else set()
    for before, after in taken.policies:
        # Nobody signs on yet in a ward without a terminal.
        if after.ward in wards:
            people |= shut_out(tx, before, after, now_ms)
    if len(people) > MOST_ENDED or (
        len(people) > 1 and len(people) * ONE_IN > tx.claims.people(now_ms)
    ):
        stops.append(Stop.ROLES)
    return Weighed(len(taken.spares), len(taken.terminals), len(people), tuple(stops))


def _spares_left(tx: Transaction, taken: set[str]) -> bool:
    for line in tx.directory.all_entries(EntryKind.SPARE):
        spare = parse_entry(line)
        if isinstance(spare, Spare) and spare.status is Status.ACTIVE and spare.guid not in taken:
            return True
    return False


def _too_many_terminals(
    tx: Transaction, taken: Taken, lately: Iterable[Past], operator: str, since_ms: int
) -> bool:
    now = set(taken.terminals)
    gone = [past for past in lately if past.ending.kind is ClaimKind.TERMINAL]
    mine = {past.ending.name for past in gone if past.operator == operator}
    anybodys = {past.ending.name for past in gone if past.at_ms > since_ms}
    if max(len(now | mine), len(now | anybodys)) > MOST_ENDED:
        return True
    if len(now) == 1:
        return False
    return not set(taken.terminals.values()) <= _wards(tx, now)


def _wards(tx: Transaction, without: set[str]) -> set[WardId]:
    """Wards with a terminal in use, but for these."""
    return {
        entry.ward
        for line in tx.directory.all_entries(EntryKind.TERMINAL)
        if isinstance(entry := parse_entry(line), Terminal)
        and entry.state is TerminalState.ACTIVE
        and entry.terminal not in without
    }
