"""A ward's policy: every number that a ward may choose, and the ceiling above it (DESIGN §5, §6).

A policy beyond a ceiling is not a policy: it is refused by whoever signs it and by whoever reads
it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from contract.ids import (
    HolderIdField,
    PositionId,
    PositionIdField,
    Salt,
    TerminalIdField,
    WardIdField,
)
from contract.wire import Part, Record

RoleCode = Annotated[str, Field(pattern=r"^[A-Z0-9][A-Z0-9:_-]{0,31}$")]

OFFLINE_LIMIT_CEILING_S = 24 * 3600
GRACE_CEILING_S = 12 * 3600
IDLE_LOCK_CEILING_S = 30 * 60
PARKED_AGE_CEILING_S = 12 * 3600
PARKED_CEILING = 12
HOLD_CEILING_S = 30 * 60
SHIFT_CEILING_S = 16 * 3600
DOWNTIME_CEILING_S = 12 * 3600
_DAY_MIN = 24 * 60


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


class PositionGrace(Part):
    """A shorter grace for one position."""

    position: PositionIdField
    grace_s: Annotated[int, Field(ge=0, le=GRACE_CEILING_S)]


class BreakGlassState(StrEnum):
    """What may stand between a clinician and the ward's emergency position."""

    NO_DIRECTORY = "no-directory"
    DIRECTORY_STALE = "directory-stale"
    CLOCK_UNCONFIRMED = "clock-unconfirmed"
    JOURNAL_FAILED = "journal-failed"
    PIN_OWED = "pin-owed"
    """A good card whose PIN is forgotten, blocked, or cannot be given at this reader."""
    CARD_UNKNOWN = "card-unknown"
    EXPIRED = "expired"
    SUSPENDED = "suspended"
    ROLE_NOT_ALLOWED = "role-not-allowed"
    NO_CARD = "no-card"
    """Nothing to tap with: only at the terminals that `without_card` names."""


class BreakGlass(Part):
    """The ward's emergency position: fixed, time-limited, announced."""

    allowed: bool
    position: PositionIdField
    reasons: Annotated[tuple[RoleCode, ...], Field(min_length=1, max_length=8)]
    limit_s: Annotated[int, Field(ge=60, le=4 * 3600)]
    states: Annotated[tuple[BreakGlassState, ...], Field(max_length=10)] = (
        BreakGlassState.NO_DIRECTORY,
        BreakGlassState.DIRECTORY_STALE,
        BreakGlassState.CLOCK_UNCONFIRMED,
        BreakGlassState.JOURNAL_FAILED,
        BreakGlassState.PIN_OWED,
    )
    """From what it is offered; a card lost, revoked or failing its key is never among them."""
    without_card: Annotated[tuple[TerminalIdField, ...], Field(max_length=64)] = ()
    """Terminals that stand where only staff come: there it may begin without a card."""
    alone_s: Annotated[int, Field(ge=60, le=15 * 60)] = 15 * 60
    """Without a card and without a colleague's: the read-only workspace, for so long."""
    role: RoleCode | None = None
    """What applications take its position for, whoever is in it; null: they are told its id."""

    @model_serializer(mode="wrap")
    def _as_before(self, write: SerializerFunctionWrapHandler) -> dict[str, object]:
        return _only_news(self, write(self), ("states", "without_card", "alone_s", "role"))


class Downtime(Part):
    """What a ward may declare when its gateway is away past the offline limit."""

    roles: Annotated[tuple[RoleCode, ...], Field(min_length=1, max_length=16)]
    """Two cards with PIN of these declare it."""
    off: Annotated[tuple[RoleCode, ...], Field(max_length=32)] = ()
    """The widest rights: nobody signs on with these while it lasts."""
    renew_s: Annotated[int, Field(ge=600, le=DOWNTIME_CEILING_S)] = DOWNTIME_CEILING_S


class Night(Part):
    """When the glass is dim and silent: minutes of the local day; `begins` may lie after `ends`."""

    begins_min: Annotated[int, Field(ge=0, lt=_DAY_MIN)]
    ends_min: Annotated[int, Field(ge=0, lt=_DAY_MIN)]


class Sound(StrEnum):
    """What a ward hears of its taps."""

    OFF = "off"
    SOFT = "soft"
    """A short click, unlike any monitor's."""


class LeftCard(Part):
    """Caps for a card left in a reader; announced at `left_card_s`."""

    cap_s: Annotated[int, Field(ge=5, le=3600)]
    """So long after the announcement the session that it opened locks."""


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
    """Null: a countersign opens nothing here."""
    grace_by_position: Annotated[tuple[PositionGrace, ...], Field(max_length=64)] = ()
    idle_warn_s: Annotated[int, Field(ge=5, le=120)] = 20
    """The quiet warning before the lock; half of `idle_lock_s` if that is less."""
    shift_s: Annotated[int, Field(ge=0, le=SHIFT_CEILING_S)] = 12 * 3600
    """A chosen position is remembered so long; 0: asked at each first tap."""
    pick: Annotated[tuple[RoleCode, ...], Field(max_length=64)] = ()
    """Who holds one of these roles is not asked: the first of them that she holds is taken."""
    downtime: Downtime | None = None
    hold_s: Annotated[int, Field(ge=0, le=HOLD_CEILING_S)] = 0
    """A shared screen is kept open so long by one touch; 0: not on this ward."""
    left_card: LeftCard = LeftCard(cap_s=120)
    away_s: Annotated[int, Field(ge=0, le=300)] = 15
    """With a presence sensor: nobody before the screen for so long brings the warning; 0: never."""
    night: Night | None = None
    sound: Sound = Sound.OFF
    grace_approved_by: HolderIdField | None = None
    """Who answers for it that a PIN proved at one terminal counts on the whole ward (DESIGN §6)."""

    @model_validator(mode="after")
    def _approved(self) -> Policy:
        if self.grace_scope is GraceScope.WARD and self.grace_approved_by is None:
            raise ValueError("grace_scope ward needs a named approval: grace_approved_by")
        return self

    @model_serializer(mode="wrap")
    def _as_before(self, write: SerializerFunctionWrapHandler) -> dict[str, object]:
        return _only_news(self, write(self), _LATER)

    def emergency_role(self, position: PositionId) -> str:
        """As applications know the role of an emergency position."""
        glass = self.break_glass
        named = glass.role if glass and glass.position == position else None
        return named or position

    def grace_for(self, role: str, position: str | None = None) -> int:
        """Seconds after a proven PIN in which a tap alone is enough for `role` in `position`."""
        by_role = (g.grace_s for g in self.grace_by_role if g.role == role)
        by_position = (g.grace_s for g in self.grace_by_position if g.position == position)
        return min([self.grace_s, *by_role, *by_position])


def _only_news(part: Part, fields: dict[str, object], later: tuple[str, ...]) -> dict[str, object]:
    """What came later is written where it says something: older policies keep their bytes."""
    written = dict(fields)
    for name in later:
        if getattr(part, name) == type(part).model_fields[name].default:
            written.pop(name, None)
    return written


_LATER = (
    "countersigned",
    "grace_by_position",
    "idle_warn_s",
    "shift_s",
    "pick",
    "downtime",
    "hold_s",
    "left_card",
    "away_s",
    "night",
    "sound",
    "grace_approved_by",
)
