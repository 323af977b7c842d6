"""A ward's policy as an operator meets it: from a file, in words, with its bounds.

What each setting means stands here once; bounds and defaults are read from `contract.policy`, so
that they cannot differ from what is enforced.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, TypeAdapter, ValidationError

from contract.directory import TerminalState
from contract.ids import TerminalId, WardId
from contract.policy import (
    BreakGlass,
    Countersigned,
    Downtime,
    LeftCard,
    Night,
    Policy,
    PositionGrace,
    RoleGrace,
)
from contract.serving import Interface, Interfaces
from contract.wire import WireError, check_i_json
from provisioning.directory.entries import require_approval
from provisioning.errors import BadInput, GatewayRefused, ProvisioningError

FILE_CAP: Final = 64 * 1024
"""A policy with 64 graces by role and by position stays far below it."""
_NOT_SETTINGS: Final = ("type", "ward", "salt")


class PolicyWrong(ProvisioningError):
    """A setting is unknown, or is beyond what the contract allows; nothing was changed."""

    code = 406
    exit_status = 2
    remedy = "tapover ward policy explain says every setting and its bounds."


MEANING: Final[Mapping[str, str]] = {
    "grace_s": "after a proven PIN, so long a tap alone is enough",
    "grace_scope": "where a proven PIN counts: at that terminal, or in the whole ward",
    "grace_approved_by": "who approved that, by id; needed for the whole ward",
    "grace_by_role": "a shorter grace for a role: the widest rights get the shortest",
    "grace_by_role.role": "the role's code",
    "grace_by_role.grace_s": "as grace_s, for this role; the shorter of the two counts",
    "grace_by_position": "a shorter grace for one position",
    "grace_by_position.position": "the position's id",
    "grace_by_position.grace_s": "as grace_s, for this position; the shorter counts",
    "pin_contactless": "whether a PIN may be given without the slot; such taps are marked",
    "roles": "who may sign on here; none named: every role",
    "tap_out": "what the holder's second tap does to her work: keeps it (park) or ends it (close)",
    "still_you_s": "a second tap so soon after signing on changes nothing",
    "tap_to_return_s": "after a tap-out the screen says so long that a tap returns",
    "idle_dim_s": "without a key or touch for so long, the screen dims",
    "idle_lock_s": "and for so long, it locks",
    "idle_warn_s": "before it locks, it warns so long; half of idle_lock_s at most",
    "pin_pad_s": "an abandoned PIN pad ends locked after so long",
    "parked_max": "so many people's work is kept at a terminal",
    "parked_age_s": "and each so long",
    "left_card_s": "a card that rests in a reader for so long counts as left, and is announced",
    "left_card": "what follows when it is not taken",
    "left_card.cap_s": "so long after the announcement the session that it opened locks",
    "offline_limit_s": "without the gateway, the same gesture works for so long",
    "offline_boot": "after a start without network and clock: a PIN at each tap, or nobody",
    "offline_boot_s": "and so long at most, of powered time",
    "name_form": "how much of a name the glass shows",
    "break_glass": "the ward's emergency position; left out: there is none",
    "break_glass.allowed": "whether it may be taken",
    "break_glass.position": "what it opens: the ward's own (WARD-...), or one that somebody holds",
    "break_glass.reasons": "what may be given as the reason, by one touch",
    "break_glass.limit_s": "it ends after so long",
    "break_glass.states": "from what it is offered; never to a card lost, revoked or false",
    "break_glass.without_card": "terminals where only staff come: there it begins without a card",
    "break_glass.alone_s": "without card and colleague: the read-only workspace, for so long",
    "break_glass.role": "what applications take it for; left out: they are told its position",
    "downtime": "what the ward may declare past offline_limit_s; left out: nothing",
    "downtime.roles": "two people of these, each with card and PIN, declare it",
    "downtime.off": "the widest rights: nobody signs on with these while it lasts",
    "downtime.renew_s": "it ends after so long unless it is declared again",
    "countersigned": "what a blocked PIN may open offline on a colleague's PIN; left out: nothing",
    "countersigned.roles": "the holder's own positions of these roles",
    "countersigned.limit_s": "for so long",
    "shift_s": "a chosen position is remembered so long; 0: asked at each first tap",
    "pick": "who holds one of these roles is not asked: the first of them that she holds is taken",
    "hold_s": "a shared screen is kept open so long by one touch; 0: not on this ward",
    "away_s": "with a presence sensor: nobody there for so long brings the warning; 0: never",
    "night": "when the glass is dim and silent; left out: never",
    "night.begins_min": "from this minute of the local day (1320 is 22:00)",
    "night.ends_min": "to this one; the next day where it is the smaller",
    "sound": "what the ward hears of its taps",
}
"""Of every setting; those of a part with the part's name before a dot."""

_PARTS: Final[Mapping[str, type[BaseModel]]] = {
    "break_glass": BreakGlass,
    "countersigned": Countersigned,
    "grace_by_position": PositionGrace,
    "grace_by_role": RoleGrace,
    "downtime": Downtime,
    "left_card": LeftCard,
    "night": Night,
}


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: what it may be, what it is where nobody sets it, what it means."""

    name: str
    bounds: str
    default: str
    meaning: str


def explain() -> Iterator[Setting]:
    """Every setting, in the order of the contract."""
    yield from _settings(Policy, "")


def names() -> list[str]:
    """Of the settings at the top."""
    return [name for name in Policy.model_fields if name not in _NOT_SETTINGS]


def _settings(model: type[BaseModel], before: str) -> Iterator[Setting]:
    schema = TypeAdapter(model).json_schema()
    for name, shape in schema["properties"].items():
        if name in _NOT_SETTINGS:
            continue
        full = f"{before}{name}"
        default = _plain(shape.get("default")) if name not in schema.get("required", ()) else ""
        yield Setting(full, _bounds(shape, schema.get("$defs", {})), default, MEANING[full])
        if part := _PARTS.get(full):
            yield from _settings(part, f"{full}.")


def _bounds(shape: dict[str, Any], parts: dict[str, Any]) -> str:
    """In words: a range with its ceiling, the words to choose from, how many there may be."""
    if "$ref" in shape:
        shape = {**parts[shape["$ref"].rpartition("/")[2]], **shape}
    if "anyOf" in shape or "allOf" in shape:
        kinds = [one for one in (shape.get("anyOf") or shape["allOf"]) if one.get("type") != "null"]
        return _bounds(kinds[0], parts)
    if "enum" in shape:
        return ", ".join(map(str, shape["enum"]))
    match shape.get("type"):
        case "integer":
            top = shape.get("maximum", shape.get("exclusiveMaximum", 0) - 1)
            return f"{shape.get('minimum', 0)} to {top}{_hours(top)}"
        case "boolean":
            return "true, false"
        case "array":
            each = _bounds(shape["items"], parts)
            least = f"{shape['minItems']} to " if shape.get("minItems") else "up to "
            return f"{least}{shape.get('maxItems', 'any number')} of: {each}"
        case "object":
            return "a part of its own"
        case _:
            return "an id or code"


def _hours(top: int) -> str:
    hours, rest = divmod(top, 3600)
    if hours and not rest:
        return f" ({hours} h)"
    minutes, rest = divmod(top, 60)
    return f" ({minutes} min)" if minutes > 1 and not rest else ""


def _plain(value: object) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return "true" if value else "false"
        case list() | tuple():
            return ", ".join(_plain(one) for one in value) or "none"
        case dict():
            return ", ".join(f"{name} {_plain(one)}" for name, one in value.items())
        case _:
            return str(value)


def in_words(policy: Policy) -> list[str]:
    """What stands, a line a setting: its value, and what that means."""
    lines = []
    for name, value in settings_of(policy).items():
        lines.append(f"{name} = {_plain(value)}: {MEANING[name]}")
        if isinstance(value, dict):
            lines += [f"  {part}: {MEANING[f'{name}.{part}']}" for part in value]
    return lines


def settings_of(policy: Policy) -> dict[str, Any]:
    """All of them, also those that nobody set."""
    found: dict[str, Any] = {}
    for name in names():
        value = getattr(policy, name)
        found[name] = TypeAdapter(Any).dump_python(value, mode="json")
    return found


def read_file(path: Path, data: bytes) -> dict[str, Any]:
    """Settings by name, from JSON or (`.toml`) TOML. Raises PolicyWrong."""
    try:
        found = tomllib.loads(data.decode()) if path.suffix == ".toml" else _json(data)
    except (WireError, ValueError) as error:
        raise PolicyWrong(f"{path}: {error}") from error
    return found


def _json(data: bytes) -> dict[str, Any]:
    found = check_i_json(data, FILE_CAP)
    if not isinstance(found, dict):
        raise WireError("no object: write settings by name")
    return found


def merged(before: Policy, given: Mapping[str, Any], *, whole: bool) -> dict[str, Any]:
    """The settings in force with those given in their place; `whole`: the others by default.

    Raises PolicyWrong for a setting that there is not, and for a file of another ward.
    """
    if given.get("ward", before.ward) != before.ward:
        raise PolicyWrong(f"the file is ward {given['ward']}'s, not {before.ward}'s")
    settings = {name: value for name, value in given.items() if name not in _NOT_SETTINGS}
    if unknown := [name for name in settings if name not in names()]:
        raise PolicyWrong(f"{', '.join(sorted(unknown))}: there is no such setting")
    return settings if whole else {**settings_of(before), **settings}


def require(settings: Mapping[str, Any], before: Policy, salt: str) -> Policy:
    """The policy that these settings make. Raises PolicyWrong, which says the bounds."""
    data = TypeAdapter(Any).dump_json({**settings, "ward": before.ward, "salt": salt})
    try:
        require_approval(settings)
        return Policy.from_bytes(data)
    except BadInput as error:
        raise PolicyWrong(str(error)) from error
    except WireError as error:
        field = str(error).removeprefix("Policy: ").partition(":")[0]
        name = ".".join(step for step in field.split(".") if not step.isdigit())
        bounds = next((one.bounds for one in explain() if one.name == name), "")
        raise PolicyWrong(f"{error}" + (f"; {name} may be: {bounds}" if bounds else "")) from error


def interfaces_of(fleet: object, ward: WardId) -> Interfaces:
    """The ward's terminals in use and their readers, as the gateway tells of its fleet.

    Raises GatewayRefused.
    """
    try:
        rows = TypeAdapter(list[_Row]).validate_python(fleet)
    except ValidationError as error:
        raise GatewayRefused("the gateway's answer is no list of terminals") from error
    return {
        TerminalId(row.terminal): frozenset(row.status.interfaces or ()) or None
        if row.status
        else None
        for row in rows
        if row.ward == ward and row.state == TerminalState.ACTIVE
    }


class _Says(BaseModel):
    interfaces: tuple[Interface, ...] | None = None


class _Row(BaseModel):
    terminal: str
    ward: str | None
    state: str | None
    status: _Says | None
