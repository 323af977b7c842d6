"""What a directory from a back-up has lost is sent again: by one operator, before anything else.

Terminals hold the newer directory, and keep it, until the first change under the new key epoch;
the gateway takes none before this one. It is made from what this authority has: its copy of the
directory, set aside as it was, and the ledger of cards that were withdrawn. So no card comes back
that was revoked since; what nobody here knows of is counted by what the terminals say they hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from contract.directory import (
    MAX_CHANGE_BYTES,
    MAX_CHANGE_ENTRIES,
    Entitlement,
    Entry,
    EntryKind,
    Removed,
    Status,
    Terminal,
    TerminalState,
    entry_key,
    parse_entry,
)
from contract.ids import Version
from provisioning.directory import ledger
from provisioning.directory.administration import Administration
from provisioning.directory.entries import fresh_salt
from provisioning.directory.mirror import NO_VERSION, Mirror
from provisioning.directory.plan import Plan
from provisioning.directory.publish import publish_with
from provisioning.errors import GatewayRefused, ProvisioningError
from provisioning.site.folder import SiteFolder
from runtime import durable

_COPY: Final = "directory.sqlite"
_BEFORE: Final = "directory.before.sqlite"
_EVERY: Final = 2**31
# Room for the request's envelope beside its entries.
_MOST_BYTES: Final = MAX_CHANGE_BYTES - 100 * 1024


class ChangesLost(ProvisioningError):
    """Terminals hold directory versions that no copy here has; nothing was changed."""

    code = 409
    exit_status = 3
    remedy = (
        "Run it where another operator's copy of the directory is; or look for what was changed"
        " since, and say --accept-lost: then what terminals hold is replaced by what is known here."
    )


def set_aside(folder: SiteFolder) -> None:
    """The copy as it was before the gateway was lost; it stays so until `done`."""
    copy, before = folder.authority / _COPY, folder.authority / _BEFORE
    if before.exists() or not copy.exists():
        return
    for suffix in ("-wal", "-shm", ""):
        part = copy.with_name(copy.name + suffix)
        if part.exists():
            part.rename(before.with_name(before.name + suffix))
    durable.flush_folder(folder.authority)


def done(folder: SiteFolder) -> None:
    """It is all sent: the copy from before has served."""
    for suffix in ("-wal", "-shm", ""):
        (folder.authority / f"{_BEFORE}{suffix}").unlink(missing_ok=True)


def copy_before(folder: SiteFolder) -> Mirror | None:
    """What `set_aside` has kept. Raises BadInput."""
    path = folder.authority / _BEFORE
    return Mirror.at(folder, path) if path.exists() else None


def lost_entries(folder: SiteFolder, before: Mirror | None, now: Mirror) -> list[Entry]:
    """What stands otherwise in the restored directory, what withdraws first. Raises BadInput."""
    found: dict[tuple[EntryKind, str], Entry] = {}
    if before is not None:
        for changed in before.difference(common(before, now), before.head):
            kind, name = changed.key
            if changed.after is None:
                found[changed.key] = Removed(kind=kind, id=name, salt=fresh_salt())
            else:
                entry = parse_entry(changed.after)
                found[changed.key] = entry.model_copy(update={"salt": fresh_salt()})
    for card in _withdrawn(folder):
        known = now.entitlement(card.guid)
        if entry_key(card) not in found and known is not None and known.status is Status.ACTIVE:
            found[entry_key(card)] = card.model_copy(update={"salt": fresh_salt()})
    return sorted(found.values(), key=_withdraws, reverse=True)


def common(before: Mirror, now: Mirror) -> Version:
    """The newest version that both have: how far the back-up went, as far as is known here."""
    known = {past.version for past in before.history(_EVERY)}
    shared = (past.version for past in now.history(_EVERY) if past.version in known)
    return next(shared, NO_VERSION)


def held_by_terminals(administration: Administration) -> Version:
    """The newest version that a terminal has said it holds. Raises GatewayRefused."""
    newest = NO_VERSION
    try:
        for row in administration.get("/v1/fleet").json()["terminals"]:
            if (status := row["status"]) is not None:
                held = status["directory"]
                newest = max(newest, Version(int(held["epoch"]), int(held["n"])))
    except (KeyError, TypeError, ValueError) as error:
        raise GatewayRefused("the gateway's answer is no list of terminals") from error
    return newest


def is_unsettled(administration: Administration) -> bool:
    """Whether the gateway waits for this."""
    return bool(administration.get("/healthz").json().get("unsettled"))


def send(administration: Administration, planned: Plan, now: Mirror, now_ms: int) -> dict[str, Any]:
    """In as few changes as there is room; the first one ends the waiting. The newest version.

    With nothing to bring back, an entry is said once more: then every terminal has the same
    version. Raises ChangeWaits (a second operator approves, then run it again), ProvisioningError.
    """
    groups = list(_groups(planned.lines()))
    if not groups:
        line = next(now.entries(), None)
        if line is None:
            return {"changed": False}
        groups = [[parse_entry(line).model_copy(update={"salt": fresh_salt()}).to_bytes()]]
    version = NO_VERSION
    for number, lines in enumerate(groups):
        version = publish_with(administration, lines, now_ms, recovers=number == 0)
    return {"changed": True, "version": {"epoch": version.epoch, "n": version.n}}


def _groups(lines: Iterator[bytes]) -> Iterator[list[bytes]]:
    group, size = list[bytes](), 0
    for line in lines:
        if group and (len(group) == MAX_CHANGE_ENTRIES or size + len(line) > _MOST_BYTES):
            yield group
            group, size = [], 0
        group.append(line)
        size += len(line) + 1
    if group:
        yield group


def _withdraws(entry: Entry) -> bool:
    match entry:
        case Removed():
            return True
        case Entitlement():
            return entry.status is not Status.ACTIVE
        case Terminal():
            return entry.state is TerminalState.RETIRED
    return False


def _withdrawn(folder: SiteFolder) -> Iterator[Entitlement]:
    """Cards that this authority published last as anything but active."""
    for path in sorted((folder.authority / "published" / "entitlement").glob("*.json")):
        card = ledger.recall_entitlement(folder, Path(path).stem)
        if card.status is not Status.ACTIVE:
            yield card
