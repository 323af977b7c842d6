"""A ward's policy: every number that a ward may choose, and the ceiling above it (DESIGN §5, §6).

A policy beyond a ceiling is not a policy: it is refused by whoever signs it and by whoever reads
it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from contract.ids import PositionIdField, Salt, WardIdField
from contract.wire import Part, Record

RoleCode = Annotated[str, Field(pattern=r"^[A-Z0-9][A-Z0-9:_-]{0,31}$")]

OFFLINE_LIMIT_CEILING_S = 24 * 3600
GRACE_CEILING_S = 12 * 3600
IDLE_LOCK_CEILING_S = 30 * 60
PARKED_AGE_CEILING_S = 12 * 3600
PARKED_CEILING = 12


class GraceScope(StrEnum):
    """Where a proven PIN counts."""

    TERMINAL = "terminal"
    WARD = "ward"


class TapOut(StrEnum):
    """What the holder's second tap does to her session."""

    PARK = "park"
    CLOSE = "close"


class NameForm(StrEnum):
    """How much of a name the glass shows."""

    FULL = "full"
    SHORT = "short"
    INITIALS = "initials"


class OfflineBoot(StrEnum):
    """After a boot with neither network nor a trusted clock."""

    PIN_EACH_TAP = "pin-each-tap"
    REFUSE = "refuse"


class RoleGrace(Part):
    """A shorter grace for a named role: the widest rights get the shortest."""

    role: RoleCode
    grace_s: Annotated[int, Field(ge=0, le=GRACE_CEILING_S)]


class BreakGlass(Part):
    """The ward's emergency position: fixed, time-limited, announced."""

    allowed: bool
    position: PositionIdField
    reasons: Annotated[tuple[RoleCode, ...], Field(min_length=1, max_length=8)]
    limit_s: Annotated[int, Field(ge=60, le=4 * 3600)]


class Countersigned(Part):
    """What a blocked PIN may still open without the network, when a colleague's PIN stands for it.

    One of the holder's own positions, of these roles alone, and for so long.
    """

    roles: Annotated[tuple[RoleCode, ...], Field(min_length=1, max_length=16)]
    limit_s: Annotated[int, Field(ge=60, le=4 * 3600)]


class Policy(Record):
    """The settings of one ward. A directory entry (`contract.directory`)."""

    type: Literal["tapover/policy/v1"] = "tapover/policy/v1"
    ward: WardIdField
    grace_s: Annotated[int, Field(ge=0, le=GRACE_CEILING_S)] = 4 * 3600
    grace_scope: GraceScope = GraceScope.TERMINAL
    grace_by_role: Annotated[tuple[RoleGrace, ...], Field(max_length=64)] = ()
    pin_contactless: bool = False
    roles: Annotated[tuple[RoleCode, ...], Field(max_length=256)] = ()
    """Roles that may sign on here; empty means every role."""
    tap_out: TapOut = TapOut.PARK
    still_you_s: Annotated[int, Field(ge=1, le=10)] = 3
    tap_to_return_s: Annotated[int, Field(ge=0, le=300)] = 30
    idle_dim_s: Annotated[int, Field(ge=5, le=IDLE_LOCK_CEILING_S)] = 120
    idle_lock_s: Annotated[int, Field(ge=10, le=IDLE_LOCK_CEILING_S)] = 300
    pin_pad_s: Annotated[int, Field(ge=5, le=300)] = 45
    parked_max: Annotated[int, Field(ge=0, le=PARKED_CEILING)] = 6
    parked_age_s: Annotated[int, Field(ge=60, le=PARKED_AGE_CEILING_S)] = 4 * 3600
    left_card_s: Annotated[int, Field(ge=5, le=3600)] = 60
    offline_limit_s: Annotated[int, Field(ge=0, le=OFFLINE_LIMIT_CEILING_S)] = 4 * 3600
    offline_boot: OfflineBoot = OfflineBoot.PIN_EACH_TAP
    offline_boot_s: Annotated[int, Field(ge=0, le=OFFLINE_LIMIT_CEILING_S)] = 4 * 3600
    name_form: NameForm = NameForm.SHORT
    break_glass: BreakGlass | None = None
    salt: Salt
    countersigned: Countersigned | None = None
    """Null: a countersign opens nothing here; then it is not written, as before it was known."""

    @model_serializer(mode="wrap")
    def _as_before(self, write: SerializerFunctionWrapHandler) -> dict[str, object]:
        fields: dict[str, object] = write(self)
        if self.countersigned is None:
            fields.pop("countersigned", None)
        return fields

    def grace_for(self, role: str) -> int:
        """Seconds after a proven PIN in which a tap alone is enough for `role`."""
        return min([self.grace_s, *(g.grace_s for g in self.grace_by_role if g.role == role)])
