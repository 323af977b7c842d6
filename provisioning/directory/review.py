"""What waits for a second operator, fetched and checked: he signs for what he has seen.

The digest that he approves is of an envelope that names requests; each request names its entries:
so the difference shown is of exactly what he signs, whatever the gateway says about it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from contract.administration import ChangeSet, Findings
from contract.directory import (
    MAX_CHANGE_BYTES,
    MAX_ENTRY_BYTES,
    ChangeRequest,
    Removed,
    entry_key,
    parse_entry,
)
from contract.ids import Digest
from contract.journal import require_bodies, split_lines
from contract.signing import Envelope, PayloadType
from contract.wire import WireError, decode_base64
from provisioning.directory.administration import Administration, findings_of
from provisioning.directory.mirror import Changed, Mirror
from provisioning.errors import GatewayRefused


@dataclass(frozen=True, slots=True)
class Held:
    """A change that waits; `digests` are those of its requests' envelopes."""

    subject: Digest
    operator: str
    findings: Findings
    digests: tuple[Digest, ...]

    @property
    def requests(self) -> int:
        return len(self.digests)


def waiting(administration: Administration) -> list[dict[str, Any]]:
    """What is under way, as the gateway says it."""
    found = administration.get("/v1/held").json().get("waiting")
    if not isinstance(found, list):
        raise GatewayRefused("the gateway's answer does not say what waits")
    return found


def fetch(administration: Administration, subject: Digest) -> Held:
    """What waits under a digest. Raises GatewayRefused for what does not fit it."""
    said = administration.get(f"/v1/held/{subject}").json()
    try:
        digests = _requests(subject, administration.get(f"/v1/held/{subject}/envelope").body)
    except WireError as error:
        raise GatewayRefused(f"what waits is not what it is said to be: {error}") from error
    return Held(subject, str(said.get("operator")), findings_of(said.get("findings")), digests)


def changes(administration: Administration, mirror: Mirror, held: Held) -> Iterator[Changed]:
    """What it would make of the directory as it stands, streamed. Raises GatewayRefused."""
    for place, digest in enumerate(held.digests):
        message = administration.get(f"/v1/held/{held.subject}/requests/{place}").body
        try:
            lines = _lines(message, digest)
        except WireError as error:
            raise GatewayRefused(f"what waits is not what it is said to be: {error}") from error
        for line in lines:
            entry = parse_entry(line)
            key = entry_key(entry)
            after = None if isinstance(entry, Removed) else line
            yield Changed(key, mirror.entry(key), after)


def _requests(subject: Digest, data: bytes) -> tuple[Digest, ...]:
    envelope = Envelope.from_bytes(data)
    if envelope.digest != subject:
        raise WireError("another envelope than was asked for")
    if envelope.payloadType is PayloadType.CHANGE_SET:
        return ChangeSet.from_bytes(decode_base64(envelope.payload)).requests
    return (subject,)


def _lines(message: bytes, digest: Digest) -> tuple[bytes, ...]:
    envelope, lines = split_lines(message, MAX_CHANGE_BYTES)
    if envelope.digest != digest:
        raise WireError("another request than is named")
    request = ChangeRequest.from_bytes(decode_base64(envelope.payload))
    require_bodies(lines, request.entries, MAX_ENTRY_BYTES)
    return lines
