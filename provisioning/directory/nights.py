"""What ward leads did with spares, for review: as it was judged, and checked here once more.

The statement and its terms are verified by this machine's own copy of the directory and its
history: the terminal's key, and the lead's card whose PIN stood behind the words.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from pydantic import BaseModel, TypeAdapter, ValidationError

from contract.directory import Entitlement, EntryKind, Spare, Status, Terminal, parse_entry
from contract.help import Guest, HelpRefused
from contract.ids import SiteId, TerminalId
from contract.signing import SignatureRefused, VerifyKey
from contract.wire import WireError, decode_base64
from contract.witness import Assigned, open_assignment, require_lead
from provisioning.directory.administration import Administration
from provisioning.directory.mirror import Mirror
from provisioning.errors import GatewayRefused

LATE_MS: Final = 30_000
"""Told so late, it was made offline."""


class _Row(BaseModel):
    spare: str
    holder: str
    terminal: str
    begins_ms: int
    until_ms: int
    received_ms: int
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Assignment:
    """One of them. `checked`: empty when it was verified here, else why not."""

    spare: str
    holder: str
    person: str
    """A guest's name and number; of somebody of the directory the id."""
    lead: str
    """Whose PIN stood behind it; empty where that card is not known here."""
    terminal: str
    ward: str
    begins_ms: int
    until_ms: int
    offline: bool
    reason: str
    checked: str

    def to_json(self) -> dict[str, Any]:
        """With times that a person reads."""
        return {
            **{name: getattr(self, name) for name in self.__dataclass_fields__},
            "begins": _at(self.begins_ms),
            "until": _at(self.until_ms),
        }

    @property
    def line(self) -> str:
        """For a person."""
        what = f"{_at(self.begins_ms)} to {_at(self.until_ms)}  {self.ward}/{self.terminal}"
        who = f"{self.lead or 'somebody unknown'} gave spare {self.spare[:8]} to {self.person}"
        notes = [self.reason, *["made offline"] * self.offline]
        notes.append(f"NOT VERIFIED: {self.checked}" if self.checked else "verified")
        return f"{what}  {who}: {', '.join(notes)}"


def review(administration: Administration, mirror: Mirror) -> list[Assignment]:
    """The newest first. Raises GatewayRefused."""
    found = administration.get("/v1/assignments").json().get("assignments")
    try:
        rows = TypeAdapter(list[_Row]).validate_python(found)
    except ValidationError as error:
        raise GatewayRefused("the gateway's answer is no list of assignments") from error
    return [_judged(row, mirror, administration.gateway.site) for row in rows]


@dataclass(frozen=True, slots=True)
class SpareState:
    """A spare of the directory and whether it lies ready."""

    guid: str
    wards: tuple[str, ...]
    state: str
    """ready, used (until it is made a spare again), or why it does not serve."""


def spares(mirror: Mirror) -> Iterator[SpareState]:
    """Every spare, by GUID."""
    for line in mirror.entries(kind=EntryKind.SPARE):
        spare = parse_entry(line)
        if isinstance(spare, Spare):
            used = mirror.entitlement(spare.guid) is not None
            state = "used" if used and spare.status is Status.ACTIVE else str(spare.status)
            state = "ready" if state == Status.ACTIVE else state
            yield SpareState(spare.guid, spare.wards, state)


def _judged(row: _Row, mirror: Mirror, site: SiteId) -> Assignment:
    lead, ward, person, checked = "", "", row.holder, ""
    try:
        assigned = _open(row, mirror, site)
        ward = assigned.terms.ward
        guest = assigned.terms.person
        if isinstance(guest, Guest):
            person = f"{guest.name.full}, {guest.number}"
        lead = _lead(assigned, mirror)
    except HelpRefused as error:
        checked = str(error)
    except (WireError, SignatureRefused) as error:
        checked = f"what the gateway sent is not what it says: {error}"
    late = row.received_ms - row.begins_ms > LATE_MS
    said = (row.spare, row.holder, person, lead, row.terminal, ward, row.begins_ms, row.until_ms)
    return Assignment(*said, late, row.reason, checked)


def _open(row: _Row, mirror: Mirror, site: SiteId) -> Assigned:
    """By the newest key under which the terminal was ever known that fits."""
    keys = [
        VerifyKey.from_base64(entry.batch_key)
        for line in mirror.lines((EntryKind.TERMINAL, row.terminal))
        if isinstance(entry := parse_entry(line), Terminal)
    ]
    message = decode_base64(row.message)
    refused: HelpRefused | None = None
    for key in reversed(keys):
        try:
            assigned = open_assignment(message, site, TerminalId(row.terminal), key)
        except HelpRefused as error:
            refused = error
            continue
        terms = assigned.terms
        said = (row.spare, row.holder, row.begins_ms, row.until_ms)
        if said != (terms.spare, terms.holder, terms.begins_ms, terms.until_ms):
            raise WireError("other terms than are told")
        return assigned
    raise refused or WireError(f"no terminal {row.terminal} was ever in the directory")


def _lead(assigned: Assigned, mirror: Mirror) -> str:
    """Who countersigned, by her card as it stood at any time. Raises HelpRefused."""
    refused: HelpRefused | None = None
    for line in reversed(list(mirror.lines((EntryKind.ENTITLEMENT, assigned.colleague)))):
        card = parse_entry(line)
        if not isinstance(card, Entitlement):
            continue
        try:
            return require_lead(assigned, card, on_spare=False).holder
        except HelpRefused as error:
            refused = error
    raise refused or WireError(f"card {assigned.colleague} was never in the directory")


def _at(unix_ms: int) -> str:
    return datetime.fromtimestamp(unix_ms / 1000, UTC).isoformat("T", "seconds")
