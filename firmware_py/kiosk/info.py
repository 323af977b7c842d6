"""The information page: policy in words, what is recorded, the newest checkpoint, software, place.

Pure. Whoever stands at the screen may read it, so it names nobody; the checkpoint is the C2SP
signed note that the page shows as a QR code: what a third party took from here counts (DESIGN §7).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from contract.ids import TerminalId
from contract.policy import GraceScope, NameForm, Night, OfflineBoot, Policy, Sound, TapOut
from firmware_py.kiosk import info_words as words
from firmware_py.trust.here import Place

_NAMES: Final = {
    NameForm.FULL: words.NAME_FULL,
    NameForm.SHORT: words.NAME_SHORT,
    NameForm.INITIALS: words.NAME_INITIALS,
}
_MOST_ROLES: Final = 12
"""More than these stand as "...": the page is read at a wall."""


def info(
    place: Place, terminal: TerminalId, *, software: str, note: str | None, support: str
) -> dict[str, object]:
    """The answer to GET /info: plain JSON. `note` null: no checkpoint is held yet."""
    return {
        "terminal": terminal,
        "ward": place.terminal.ward if place.terminal else None,
        "software": software,
        "support": support or None,
        "directory": str(place.directory) if place.directory else None,
        "policy": list(rules(place, terminal)),
        "recorded": list(words.RECORDED),
        "checkpoint": note,
    }


def rules(place: Place, terminal: TerminalId) -> Iterator[str]:
    """What the ward chose, in sentences."""
    if place.terminal is None:
        yield words.NO_RULES
        return
    if place.unread:
        yield words.UNREAD
    policy = place.policy
    yield from _pin(policy)
    yield from _people(policy)
    yield from _screen(policy)
    yield from _offline(policy)
    yield from _emergency(policy, terminal)
    yield _NAMES[policy.name_form]
    if policy.night is not None:
        yield words.NIGHT.format(**_hours(policy.night))
    yield words.SOUND_SOFT if policy.sound is Sound.SOFT else words.SOUND_OFF


def _pin(policy: Policy) -> Iterator[str]:
    if policy.grace_s:
        shared = policy.grace_scope is GraceScope.WARD
        yield (words.GRACE_WARD if shared else words.GRACE_HERE).format(time=lasts(policy.grace_s))
    else:
        yield words.GRACE_NONE
    named = [one.grace_s for one in policy.grace_by_role]
    named += [one.grace_s for one in policy.grace_by_position]
    if named and min(named) < policy.grace_s:
        yield words.GRACE_SHORTER.format(time=lasts(min(named)))
    yield words.PIN_TAP if policy.pin_contactless else words.PIN_SLOT


def _people(policy: Policy) -> Iterator[str]:
    if policy.roles:
        more = ["..."] if len(policy.roles) > _MOST_ROLES else []
        roles = ", ".join([*policy.roles[:_MOST_ROLES], *more])
        yield words.ROLES_SOME.format(roles=roles)
    else:
        yield words.ROLES_ALL
    if policy.shift_s:
        yield words.SHIFT.format(time=lasts(policy.shift_s))
    else:
        yield words.SHIFT_NONE


def _screen(policy: Policy) -> Iterator[str]:
    yield words.TAP_PARKS if policy.tap_out is TapOut.PARK else words.TAP_CLOSES
    warned_s = min(policy.idle_warn_s, policy.idle_lock_s // 2)
    dim_s = min(policy.idle_dim_s, policy.idle_lock_s - warned_s)  # as `sessions.moves.waits`
    yield words.IDLE.format(dim=lasts(dim_s), lock=lasts(policy.idle_lock_s))
    yield words.WARNED.format(time=lasts(warned_s))
    if policy.parked_max:
        yield words.PARKED.format(n=policy.parked_max, time=lasts(policy.parked_age_s))
    else:
        yield words.PARKED_NONE
    yield words.LEFT.format(time=lasts(policy.left_card_s), cap=lasts(policy.left_card.cap_s))
    if policy.hold_s:
        yield words.HOLD.format(time=lasts(policy.hold_s))


def _offline(policy: Policy) -> Iterator[str]:
    if policy.offline_limit_s:
        yield words.OFFLINE.format(time=lasts(policy.offline_limit_s))
    else:
        yield words.OFFLINE_NONE
    if policy.offline_boot is OfflineBoot.PIN_EACH_TAP and policy.offline_boot_s:
        yield words.BOOT_PIN.format(time=lasts(policy.offline_boot_s))
    else:
        yield words.BOOT_REFUSED


def _emergency(policy: Policy, terminal: TerminalId) -> Iterator[str]:
    glass = policy.break_glass
    if glass is None or not glass.allowed:
        yield words.BREAK_GLASS_NONE
    else:
        yield words.BREAK_GLASS.format(time=lasts(glass.limit_s))
        if terminal in glass.without_card:
            yield words.BREAK_GLASS_CARDLESS
    if policy.downtime is not None:
        yield words.DOWNTIME.format(time=lasts(policy.downtime.renew_s))


def _hours(night: Night) -> dict[str, str]:
    return {"begins": _of_day(night.begins_min), "ends": _of_day(night.ends_min)}


def _of_day(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def lasts(seconds: int) -> str:
    """A duration by the symbols that every language writes: `4 h`, `1 h 30 min`, `20 s`."""
    hours, rest = divmod(seconds, 3600)
    minutes, left = divmod(rest, 60)
    parts = [f"{n} {unit}" for n, unit in ((hours, "h"), (minutes, "min"), (left, "s")) if n]
    return " ".join(parts) or "0 s"
