"""Sending a wish of any size: one request where it fits one, else a change set that goes on.

A set is written down before its first byte is sent, and sent again from there after whatever cut it
off: the gateway says which requests are missing, then carries out one a step. What the guard stops
raises `ChangeWaits`; approved meanwhile, the same command goes on with it.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from contract.administration import MAX_SET_REQUESTS, Approval, ChangeSet, Decision
from contract.directory import MAX_CHANGE_BYTES, MAX_CHANGE_ENTRIES
from contract.ids import Digest, Version
from contract.journal import join_lines
from contract.signing import Envelope
from contract.tap import DirectoryVersion
from contract.wire import decode_base64
from provisioning.directory.administration import (
    Administration,
    ChangeWaits,
    MovedOn,
    findings_of,
)
from provisioning.directory.publish import sign_request, version_of
from provisioning.errors import BadInput, GatewayRefused, ProvisioningError
from runtime import durable

Advance = Callable[[int, int], None]
"""Told how many of how many steps are done."""
# Of a request's bytes: its envelope, which names up to 500 digests, and the lines' newlines.
_ENVELOPE_ROOM: Final = 64 * 1024
_SET: Final = "set.dsse"
_HOUR_MS: Final = 3600 * 1000


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of it: the last version that it made; how many requests it took."""

    version: Version
    requests: int


@dataclass(frozen=True, slots=True)
class Prepared:
    """A set on the disk, ready to be sent."""

    folder: Path

    @property
    def envelope(self) -> Envelope:
        return Envelope.from_bytes(durable.read_capped(self.folder / _SET, Envelope.CAP))

    @property
    def requests(self) -> int:
        return sum(1 for _ in self.folder.glob("*.request"))

    def request(self, place: int) -> bytes:
        return durable.read_capped(self.folder / f"{place:03d}.request", MAX_CHANGE_BYTES)

    def forget(self) -> None:
        """It was carried out, or came to nothing."""
        shutil.rmtree(self.folder, ignore_errors=True)


def prepared(folder: Path) -> Prepared | None:
    """A set that was written down whole, and not yet forgotten."""
    return Prepared(folder) if (folder / _SET).is_file() else None


def prepare(
    folder: Path,
    administration: Administration,
    base: Version,
    lines: Iterable[bytes],
    now_ms: int,
) -> Prepared | None:
    """Signs requests for these entries into `folder`; None when there are no entries.

    Raises BadInput when they are more than a set holds.
    """
    shutil.rmtree(folder, ignore_errors=True)
    durable.make_folder(folder)
    gateway, operator = administration.gateway, administration.operator
    digests: list[Digest] = []
    for piece in cut(lines):
        if len(digests) == MAX_SET_REQUESTS:
            raise BadInput("more entries than one change set holds; give them in parts")
        request = sign_request(gateway, operator, piece, now_ms)
        name = f"{len(digests):03d}.request"
        # Written in order; the set's own file comes last, and only that is flushed for itself.
        durable.write_file(folder / name, join_lines(request, piece))
        digests.append(request.digest)
    if not digests:
        shutil.rmtree(folder, ignore_errors=True)
        return None
    envelope = ChangeSet(
        site=gateway.site,
        operator=operator.id,
        nonce=secrets.token_hex(32),
        issued_ms=now_ms,
        base=DirectoryVersion.of(base),
        requests=tuple(digests),
    ).seal(operator.signer())
    durable.write_file(folder / _SET, envelope.to_bytes())
    return Prepared(folder)


def cut(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Entries in pieces that a request holds."""
    piece: list[bytes] = []
    size = 0
    for line in lines:
        full = len(piece) == MAX_CHANGE_ENTRIES
        if piece and (full or size + len(line) + 1 > MAX_CHANGE_BYTES - _ENVELOPE_ROOM):
            yield piece
            piece, size = [], 0
        piece.append(line)
        size += len(line) + 1
    if piece:
        yield piece


def send(administration: Administration, wish: Prepared, advance: Advance | None = None) -> Sent:
    """Sends, or goes on with, what was prepared; whoever is told `Sent` forgets it.

    Raises ChangeWaits (run it again when it is approved), MovedOn (it was overtaken, refused or too
    old, and is forgotten), or ProvisioningError.
    """
    total = wish.requests
    if total == 1:
        return _send_one(administration, wish)
    try:
        found = _follow_set(administration, wish, total, advance or (lambda _done, _of: None))
    except (MovedOn, GatewayRefused):
        with contextlib.suppress(ProvisioningError):  # it may have come to nothing already
            now_ms = ChangeSet.from_bytes(decode_base64(wish.envelope.payload)).issued_ms
            decide(administration, wish.envelope.digest, Decision.REFUSE, now_ms)
        wish.forget()
        raise
    return Sent(found, total)


def follow(administration: Administration, subject: Digest, advance: Advance) -> Version | None:
    """Carries a released set out to its end; the last version that it made, if any was."""
    last: Version | None = None
    while True:
        found = administration.post(f"/v1/sets/{subject}/steps").json()
        if found.get("version"):
            last = version_of(found)
        total, left = int(found.get("requests", 0)), int(found.get("left", 0))
        advance(2 * total - left, 2 * total)
        match found.get("state"):
            case "released":
                continue
            case "done":
                return last
            case "waiting":
                raise ChangeWaits(subject, findings_of(found.get("findings")))
            case state:
                raise MovedOn(f"the change set came to nothing: it is {state}")


def decide(
    administration: Administration, subject: Digest, decision: Decision, now_ms: int
) -> dict[str, Any]:
    """A second operator's signed word; the gateway's answer."""
    operator = administration.operator
    approval = Approval(
        site=administration.gateway.site,
        operator=operator.id,
        subject=subject,
        decision=decision,
        issued_ms=now_ms,
        until_ms=now_ms + _HOUR_MS,
    ).seal(operator.signer())
    return administration.post("/v1/approvals", approval.to_bytes()).json()


def _send_one(administration: Administration, wish: Prepared) -> Sent:
    try:
        answer = administration.post("/v1/changes", wish.request(0))
    except (MovedOn, GatewayRefused):
        wish.forget()
        raise
    found = answer.json()
    if answer.status == HTTPStatus.ACCEPTED:
        raise ChangeWaits(Digest(str(found.get("subject"))), findings_of(found.get("findings")))
    return Sent(version_of(found), 1)


def _follow_set(
    administration: Administration, wish: Prepared, total: int, advance: Advance
) -> Version:
    envelope = wish.envelope
    standing = administration.post("/v1/sets", envelope.to_bytes()).json()
    missing = [int(place) for place in standing.get("missing", [])]
    for done, place in enumerate(missing, total - len(missing) + 1):
        path = f"/v1/sets/{envelope.digest}/requests"
        administration.post(path, wish.request(place))
        advance(done, 2 * total)
    last = follow(administration, envelope.digest, advance)
    if last is None:
        return version_of({"version": _head(administration)})
    return last


def _head(administration: Administration) -> object:
    return administration.get("/healthz").json().get("directory")
