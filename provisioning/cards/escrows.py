"""PUKs handed to the gateway for the night, and taken back where one was replaced.

What the gateway replaced is believed by the release that it signed, which names the escrow behind
it; what nobody reported is taken over in doubt, and found out when the card is next at the desk.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any, Final

from contract.certificates import spki
from contract.escrow import PukEscrow
from contract.journal import join_lines, require_bodies, split_lines
from contract.puk import MAX_ESCROWS_BYTES, Escrows, PukRelease
from contract.signing import SignatureRefused, VerifyKey, sha256
from contract.wire import WireError, decode_base64, encode_base64
from provisioning.cards import puks
from provisioning.cards.desk import Desk
from provisioning.directory import mirror
from provisioning.directory.administration import Administration
from provisioning.errors import GatewayRefused

_AT_ONCE: Final = 200


def exchange(desk: Desk, at: Administration) -> dict[str, int]:
    """Takes over what was replaced, then deposits what is in use; counts for the answer."""
    taken = sum(_adopt(desk, at))
    given = 0
    for lines in _chunks([escrow.to_bytes() for escrow in puks.escrows(desk.book)]):
        said = Escrows(
            site=at.gateway.site,
            operator=at.operator.id,
            nonce=secrets.token_hex(32),
            issued_ms=desk.clock.wall_ms(),
            authority=encode_base64(spki(desk.keys.puk.public_key())),
            escrows=tuple(sha256(line) for line in lines),
        ).seal(at.operator.signer())
        given += int(at.post("/v1/escrows", join_lines(said, lines)).json()["taken"])
    return {"deposited": given, "taken_over": taken}


def _adopt(desk: Desk, at: Administration) -> Iterator[bool]:
    found: dict[str, Any] = at.get("/v1/escrows").json()
    key = mirror.statement_key(desk.folder)
    for certain, name in ((True, "releases"), (False, "doubtful")):
        for text in found.get(name, []):
            escrow = _opened(text, key)
            before = desk.book.recall(escrow.guid)
            if before is not None:
                after = puks.adopt(desk.book, desk.keys, escrow, certain=certain)
                yield after != before


def _opened(text: object, key: VerifyKey) -> PukEscrow:
    try:
        envelope, lines = split_lines(decode_base64(str(text)), MAX_ESCROWS_BYTES)
        release = PukRelease.open(envelope, key)
        require_bodies(lines, (release.escrow,), PukEscrow.CAP)
        escrow = PukEscrow.from_bytes(lines[0])
    except (WireError, SignatureRefused) as error:
        raise GatewayRefused(f"a release of the gateway's is not believed: {error}") from error
    if (escrow.guid, escrow.generation) != (release.guid, release.generation):
        raise GatewayRefused("a release of the gateway's names another escrow")
    return escrow


def _chunks(lines: list[bytes]) -> Iterator[list[bytes]]:
    for first in range(0, len(lines), _AT_ONCE):
        yield lines[first : first + _AT_ONCE]
