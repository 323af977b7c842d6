"""An earlier version of the directory as the newest one: a change like any other, and a difference.

What must not come back does not: a card or spare that was revoked or lost since, a terminal that
was retired, a card that has become somebody else's, a spare as if it were fresh (whoever held it
knows its PIN) or still somebody's. Those stay as they are, and are named.
"""

from __future__ import annotations

from collections.abc import Iterator

from contract.administration import FINAL
from contract.directory import (
    Entitlement,
    Entry,
    EntryKind,
    Removed,
    Spare,
    Terminal,
    TerminalState,
    parse_entry,
)
from contract.ids import Version
from provisioning.directory.entries import fresh_salt
from provisioning.directory.mirror import Changed, Mirror


def entries_of(mirror: Mirror, version: Version, stays: list[str]) -> Iterator[Entry]:
    """What makes the newest version say what `version` said; `stays` gathers what stays, and why.

    Raises VersionUnknown.
    """
    for changed in mirror.difference(mirror.head, version):
        if words := _stays(mirror, changed):
            stays.append(words)
        elif changed.after is None:
            kind, name = changed.key
            yield Removed(kind=kind, id=name, salt=fresh_salt())
        else:
            yield parse_entry(changed.after).model_copy(update={"salt": fresh_salt()})


def _stays(mirror: Mirror, changed: Changed) -> str | None:
    now = None if changed.before is None else parse_entry(changed.before)
    then = None if changed.after is None else parse_entry(changed.after)
    match then:
        case Entitlement(guid=guid, holder=holder, status=status):
            if status not in FINAL and _was_final(mirror, changed):
                return f"card {guid} of {holder} was revoked or lost"
            if now is None and _is_spare(mirror, guid):
                return f"card {guid} of {holder} is a spare again"
            if isinstance(now, Entitlement) and now.holder != holder:
                return f"card {guid} has become {now.holder}'s"
        case Spare(guid=guid, status=status):
            if status not in FINAL and _was_final(mirror, changed):
                return f"spare {guid} was revoked or lost"
        case None if isinstance(now, Entitlement) and _is_spare(mirror, now.guid):
            return f"spare {now.guid} was used by {now.holder}"
        case Terminal(terminal=name, state=TerminalState.ACTIVE):
            if isinstance(now, Terminal) and now.state is TerminalState.RETIRED:
                return f"terminal {name} was retired"
        case _:
            pass
    return None


def _is_spare(mirror: Mirror, guid: str) -> bool:
    return mirror.entry((EntryKind.SPARE, guid)) is not None


def _was_final(mirror: Mirror, changed: Changed) -> bool:
    return any(
        isinstance(entry, Entitlement | Spare) and entry.status in FINAL
        for entry in map(parse_entry, mirror.lines(changed.key))
    )
