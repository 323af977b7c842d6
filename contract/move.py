"""Tap here, closes there: what terminals tell each other of a session that moves (DESIGN §5).

All of it goes on each terminal's own `move` topic, where every terminal of the site hears it:

1. The *request* (`contract.tap.MoveRequest`): the tap's record with the card's signature, the fresh
   P-256 key that the record names by its `seal`, and the heartbeat that it names. Whoever has a
   session of that holder by an earlier tap parks it.
2. The *handover*: the old terminal's statement of what it parked, until when, and behind it, where
   it may travel, the small state: sealed to that key, so that nobody else on the topic reads it.
3. *Taken*: the new terminal's statement that the state is there.

The seal is HPKE (RFC 9180) in base mode: ECDH on P-256 with an ephemeral key, HKDF-SHA256,
AES-256-GCM; its `info` names record, session and both terminals. Whoever is not in the register
cannot sign a handover, and without the tap's own key nobody opens one.
"""

from __future__ import annotations

from typing import ClassVar, Final, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.serialization import load_der_public_key

from contract.bedside import SessionKind
from contract.ids import (
    DigestField,
    HolderIdField,
    PositionIdField,
    SessionIdField,
    SiteIdField,
    TerminalIdField,
)
from contract.signing import PayloadType, Statement
from contract.tap import MoveRequest
from contract.wire import UnixMs, decode_base64, encode_base64

STATE_CAP: Final = 64 * 1024
"""A session's small state: what is shown and where, never documents."""
# A point of 65 bytes and a tag of 16 besides, in base64.
_SEALED_CAP: Final = 4 * ((STATE_CAP + 65 + 16 + 2) // 3)
MAX_MOVE_BYTES: Final = _SEALED_CAP + 4 * 1024
"""The longest message of the topic: a sealed state, and the statement before it."""

_SUITE: Final = Suite(KEM.P256, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_DOMAIN: Final = "tapover:session-state:v1"


class StateRefused(Exception):
    """A state that was not sealed to this key for this session, or is longer than one may be."""


class SessionHandover(Statement):
    """By the old terminal's batch key. `state` is the digest of the line behind it, if any."""

    PAYLOAD_TYPE: ClassVar[PayloadType] = PayloadType.SESSION_HANDOVER

    type: Literal["tapover/session-handover/v1"] = "tapover/session-handover/v1"
    site: SiteIdField
    terminal: TerminalIdField
    """Where the session was, and is parked now."""
    to: TerminalIdField
    record: DigestField
    """SHA-256 of the tap record's event: which tap this answers."""
    session: SessionIdField
    holder: HolderIdField
    position: PositionIdField
    ground: SessionKind
    state: DigestField | None
    unsaved: bool
    until_ms: UnixMs
    """Site time until which it is kept there."""


class StateTaken(Statement):
    """By the new terminal's batch key: the state has arrived, and is the newer one from now on."""

    PAYLOAD_TYPE: ClassVar[PayloadType] = PayloadType.STATE_TAKEN

    type: Literal["tapover/state-taken/v1"] = "tapover/state-taken/v1"
    site: SiteIdField
    terminal: TerminalIdField
    """Where it is now."""
    origin: TerminalIdField
    record: DigestField
    session: SessionIdField
    """The one that was parked at `origin`."""


def seal_state(handover: SessionHandover, request: MoveRequest, state: bytes) -> bytes:
    """The line that goes behind `handover`, whose `state` is not looked at.

    Raises StateRefused for a state that is too long, or a key that is none.
    """
    if len(state) > STATE_CAP:
        raise StateRefused(f"more than {STATE_CAP} bytes")
    try:
        key = load_der_public_key(decode_base64(request.key))
    except (ValueError, TypeError) as error:
        raise StateRefused("not a public key") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise StateRefused("not a P-256 key")
    return encode_base64(_SUITE.encrypt(state, key, info=_info(handover))).encode()


def open_state(handover: SessionHandover, key: ec.EllipticCurvePrivateKey, line: bytes) -> bytes:
    """The state in the line behind a verified handover. Raises StateRefused."""
    if len(line) > _SEALED_CAP:
        raise StateRefused(f"more than {_SEALED_CAP} bytes")
    try:
        state = _SUITE.decrypt(decode_base64(line.decode("ascii")), key, info=_info(handover))
    except (InvalidTag, ValueError) as error:
        raise StateRefused("the state was not sealed to this key, for this session") from error
    if len(state) > STATE_CAP:
        raise StateRefused(f"more than {STATE_CAP} bytes")
    return state


def _info(handover: SessionHandover) -> bytes:
    said = handover
    named = f"{said.record}\n{said.session}\n{said.terminal}\n{said.to}"
    return f"{_DOMAIN}\n{named}".encode()
