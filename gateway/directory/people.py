"""Who holds which role, and whom a policy shuts out of a ward: counted from claims and entries.

Positions are few and people are many, so a role is found by its positions: one card of each says
which role that is. What a request itself brings counts with what stands (`People.with_entries`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from contract.directory import Entitlement, EntryKind, Position, Status, parse_entry
from contract.ids import Guid, HolderId, PositionId, WardId
from contract.policy import Policy, RoleCode
from gateway.store import ClaimKind, Transaction

# A site has some hundreds.
_MOST_POSITIONS: Final = 5_000
# People of whom it is looked up whether they still get in: enough to know that it is no everyday
# change, and some seconds at worst.
MOST_LOOKED_AT: Final = 2_000


class People:
    """Implements `contract.serving.People` over one transaction's rows."""

    def __init__(self, tx: Transaction, now_ms: int) -> None:
        self._tx = tx
        self._now_ms = now_ms
        self._added: dict[PositionId, set[HolderId]] = {}
        self._roles: dict[PositionId, RoleCode] = {}

    def with_entries(self, entries: Iterable[object]) -> People:
        """Also those whom a request brings; of a position's, as many as anybody asks for."""
        for entry in entries:
            if not isinstance(entry, Entitlement) or entry.status is not Status.ACTIVE:
                continue
            for position in entry.positions:
                self._roles[position.id] = position.role
                holders = self._added.setdefault(position.id, set())
                if len(holders) < _ENOUGH:
                    holders.add(entry.holder)
        return self

    @property
    def anybody(self) -> bool:
        """Whether there is somebody at all: a site begins with nobody."""
        return bool(self._added) or bool(self._tx.claims.names_after(ClaimKind.PERSON, "", 1))

    def is_position(self, position: PositionId) -> bool:
        """Whether somebody holds it."""
        return position in self._added or bool(
            self._tx.claims.holders(ClaimKind.POSITION, position, self._now_ms, most=1)
        )

    def with_roles(self, roles: Collection[RoleCode], most: int) -> int:
        """How many people hold one of these roles, counted up to `most`."""
        found: set[str] = set()
        for position, role in self.roles().items():
            if role in roles:
                kind = ClaimKind.POSITION
                found |= self._tx.claims.holders(kind, position, self._now_ms, most)
                found |= self._added.get(position, set())
            if len(found) >= most:
                return most
        return len(found)

    def roles(self) -> dict[PositionId, RoleCode]:
        """The role of each position that somebody holds."""
        after = ""
        known = dict(self._roles)
        for _ in range(_MOST_POSITIONS):
            names = self._tx.claims.names_after(ClaimKind.POSITION, after, 1)
            if not names:
                break
            after = names[0]
            if PositionId(after) not in known and (role := self._role_of(after)) is not None:
                known[PositionId(after)] = role
        self._roles = known
        return known

    def _role_of(self, position: str) -> RoleCode | None:
        for guid in self._tx.claims.cards(ClaimKind.POSITION, position, self._now_ms, 1):
            for held in _positions(self._tx, guid):
                if held.id == position:
                    return held.role
        return None


_ENOUGH: Final = 2


def shuts_out(before: Policy, after: Policy) -> bool:
    """Whether a role may sign on by one and not by the other."""
    if not after.roles:
        return False
    return not before.roles or not set(before.roles) <= set(after.roles)


def shut_out(tx: Transaction, before: Policy, after: Policy, now_ms: int) -> set[HolderId]:
    """People who can sign on in the ward by `before`, and by `after` in no position any more.

    Of very many the first `MOST_LOOKED_AT`.
    """
    found: set[HolderId] = set()
    seen: set[str] = set()
    for position, role in People(tx, now_ms).roles().items():
        if not _allows(before, role) or _allows(after, role):
            continue
        left = MOST_LOOKED_AT - len(seen)
        holders = tx.claims.holders(ClaimKind.POSITION, position, now_ms, most=left) - seen
        seen |= holders
        for holder in holders:
            held = _held_by(tx, holder, now_ms)
            if _gets_in(before, held) and not _gets_in(after, held):
                found.add(HolderId(holder))
        if len(seen) >= MOST_LOOKED_AT:
            break
    return found


def _held_by(tx: Transaction, holder: str, now_ms: int) -> list[Position]:
    cards = tx.claims.cards(ClaimKind.PERSON, holder, now_ms, _MOST_CARDS)
    return [position for guid in cards for position in _positions(tx, guid)]


_MOST_CARDS: Final = 16


def _positions(tx: Transaction, guid: Guid) -> tuple[Position, ...]:
    key = (EntryKind.ENTITLEMENT, str(guid))
    line = tx.directory.entries({key}).get(key)
    entry = parse_entry(line) if line else None
    return entry.positions if isinstance(entry, Entitlement) else ()


def _gets_in(policy: Policy, positions: Iterable[Position]) -> bool:
    return any(_is_here(one, policy.ward) and _allows(policy, one.role) for one in positions)


def _is_here(position: Position, ward: WardId) -> bool:
    return not position.areas or ward in position.areas


def _allows(policy: Policy, role: RoleCode) -> bool:
    return not policy.roles or role in policy.roles
