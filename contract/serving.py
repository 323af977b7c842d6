"""Whether a ward can be served by a policy: its readers, people and places (DESIGN §5, §6).

Pure. The gateway refuses a policy that cannot be served, whole; a terminal that receives one all
the same goes on by what `served` leaves of it: the contract's defaults in the place of the rest.
What is not known is never held against a policy.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, Protocol

from contract.ids import PositionId, TerminalId
from contract.policy import GraceScope, Policy, RoleCode

Interface = Literal["contact", "contactless"]
Interfaces = Mapping[TerminalId, frozenset[Interface] | None]
"""The terminals in use in a ward, and what their readers are; null: not known, or no reader."""

_DECLARE: Final = 2
"""So many people declare downtime."""


class Unservable(StrEnum):
    """What a ward cannot do by a policy."""

    PIN_NOWHERE = "pin-nowhere"
    """A PIN is owed sooner or later, and no reader here may take one."""
    ROLES_NOBODY = "roles-nobody"
    """It shuts out everybody."""
    POSITION_UNKNOWN = "position-unknown"
    """Break-glass would open a position that nobody knows."""
    TERMINAL_ELSEWHERE = "terminal-elsewhere"
    """Break-glass without a card is meant for a terminal that is not this ward's."""
    DOWNTIME_NOBODY = "downtime-nobody"
    """Fewer than two people could declare downtime."""
    DOWNTIME_OFF = "downtime-off"
    """Downtime would lock out those who declare it."""


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a policy cannot be served, in words for whoever signs it; `field` is what to mend."""

    why: Unservable
    field: str
    words: str


class People(Protocol):
    """What a directory knows of its people, as far as policies ask."""

    def is_position(self, position: PositionId) -> bool:
        """Whether somebody holds it."""
        ...

    def with_roles(self, roles: Collection[RoleCode], most: int) -> int:
        """How many people hold one of these roles, counted up to `most`."""
        ...


def unservable(
    policy: Policy, interfaces: Interfaces, people: People | None = None
) -> tuple[Objection, ...]:
    """Everything that stands against it; empty: it can be served. `people` null: not known."""
    return (
        *_pin(policy, interfaces),
        *_break_glass(policy, interfaces, people),
        *_downtime(policy, people),
        *_roles(policy, people),
    )


def pinless(policy: Policy, interfaces: Interfaces) -> tuple[TerminalId, ...]:
    """Terminals at whose readers no PIN can be given, where the ward's policy has one asked for.

    It counts where it was given, or in the whole ward; at each tap where grace is nothing.
    """
    if policy.pin_contactless:
        return ()
    without = [name for name, kinds in interfaces.items() if kinds and "contact" not in kinds]
    shared = policy.grace_scope is GraceScope.WARD and policy.grace_s > 0
    return () if shared and len(without) < len(interfaces) else tuple(without)


def served(policy: Policy, objections: Collection[Objection]) -> Policy:
    """What is left of it: nothing that was objected to, and the contract's defaults instead.

    Nothing is widened by it: whom `roles` shuts out stays shut out.
    """
    why = {objection.why for objection in objections}
    kept: dict[str, object] = {}
    glass = policy.break_glass
    if Unservable.TERMINAL_ELSEWHERE in why and glass is not None:
        kept["break_glass"] = glass.model_copy(update={"without_card": ()})
    if Unservable.POSITION_UNKNOWN in why:
        kept["break_glass"] = None
    if why & {Unservable.DOWNTIME_NOBODY, Unservable.DOWNTIME_OFF}:
        kept["downtime"] = None
    return policy.model_copy(update=kept) if kept else policy


def _pin(policy: Policy, interfaces: Interfaces) -> list[Objection]:
    without = pinless(policy, interfaces)
    if not without:
        return []
    words = (
        f"no PIN can be given at {_names(without)}: only contactless readers there;"
        " allow it (pin_contactless), or give it a slot"
    )
    return [Objection(Unservable.PIN_NOWHERE, "pin_contactless", words)]


def _break_glass(policy: Policy, interfaces: Interfaces, people: People | None) -> list[Objection]:
    glass = policy.break_glass
    if glass is None or not glass.allowed:
        return []
    found = []
    if elsewhere := [name for name in glass.without_card if name not in interfaces]:
        words = f"{_names(elsewhere)}: no terminal in use of ward {policy.ward}"
        field = "break_glass.without_card"
        found.append(Objection(Unservable.TERMINAL_ELSEWHERE, field, words))
    own = glass.position.startswith(f"{policy.ward}-")
    if not own and people is not None and not people.is_position(glass.position):
        words = (
            f"{glass.position}: nobody holds such a position, and it is not the ward's own"
            f" ({policy.ward}-...)"
        )
        found.append(Objection(Unservable.POSITION_UNKNOWN, "break_glass.position", words))
    return found


def _downtime(policy: Policy, people: People | None) -> list[Objection]:
    downtime = policy.downtime
    if downtime is None:
        return []
    may = [role for role in downtime.roles if not policy.roles or role in policy.roles]
    left = [role for role in may if role not in downtime.off]
    if may and not left:
        words = f"{_names(may)}: these declare downtime and could not sign on while it lasts"
        return [Objection(Unservable.DOWNTIME_OFF, "downtime.off", words)]
    if not may or (people is not None and people.with_roles(left, _DECLARE) < _DECLARE):
        words = f"{_names(downtime.roles)}: fewer than two people of these may sign on here"
        return [Objection(Unservable.DOWNTIME_NOBODY, "downtime.roles", words)]
    return []


def _roles(policy: Policy, people: People | None) -> list[Objection]:
    if not policy.roles or people is None or people.with_roles(policy.roles, 1):
        return []
    words = f"{_names(policy.roles)}: nobody holds one of these, so nobody could sign on"
    return [Objection(Unservable.ROLES_NOBODY, "roles", words)]


def _names(names: Collection[str]) -> str:
    shown = sorted(names)[:3]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
