"""What lets an authority write to the cards it issued: the card master key and the PUK keys.

authority/card_master.key   32 bytes from which each card's own management key is derived
authority/puk.key.pem       opens the PUKs kept by the authority
authority/gateway_puk.pem   the gateway's public half of the same: every PUK is sealed to both
gateway/puk.key.pem         the gateway's: releases one PUK for one blocked card at night
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NoReturn, Self

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from contract.escrow import EscrowRefused, PukEscrow
from contract.ids import Guid
from hardware.personalise import MANAGEMENT_KEY_BYTES, ManagementKey
from hardware.piv import Pin
from hardware.pivdata import Algorithm
from provisioning.errors import BadInput, NotThere
from provisioning.site import keys
from runtime import durable

_MASTER: Final = "card_master.key"
_PUK: Final = "puk"
_GATEWAY_PUK: Final = "gateway_puk.pem"
_MASTER_BYTES: Final = 32
# A line of 64 hexadecimal digits, or a PEM of 200 characters.
_FILE_CAP: Final = 4096
_DOMAIN: Final = b"tapover:card-management-key:v1\n"
_HEX: Final = re.compile(r"[0-9a-f]{64}\Z")


class CardMaster:
    """The key behind all management keys; shows itself to nobody."""

    __slots__ = ("_key",)

    def __init__(self, text: str) -> None:
        """From its 64 hexadecimal digits. Raises BadInput, which does not repeat them."""
        if not _HEX.match(text):
            raise BadInput(f"a card master key is {2 * _MASTER_BYTES} hexadecimal digits")
        self._key = bytes.fromhex(text)

    def management_key(self, guid: Guid, algorithm: Algorithm) -> ManagementKey:
        """A card's own management key: HKDF-SHA256 (RFC 5869) over its GUID and the algorithm.

        The GUID and not a serial number, because not every card tells one, and a GUID is given
        once.
        """
        info = _DOMAIN + bytes((algorithm,)) + bytes.fromhex(guid)
        kdf = HKDF(hashes.SHA256(), MANAGEMENT_KEY_BYTES[algorithm], salt=None, info=info)
        return ManagementKey(algorithm, kdf.derive(self._key))

    def __repr__(self) -> str:
        return "CardMaster(redacted)"

    def __reduce__(self) -> NoReturn:
        """It stays in its file and in this process."""
        raise TypeError("a card master key is not to be pickled")


@dataclass(frozen=True, slots=True)
class CardKeys:
    """The authority's own; every PUK it sets is sealed to itself and to the gateway."""

    master: CardMaster
    puk: ec.EllipticCurvePrivateKey = field(repr=False)
    gateway: ec.EllipticCurvePublicKey = field(repr=False)

    @classmethod
    def load(cls, authority: Path, master: CardMaster | None = None) -> Self:
        """From the authority's folder; `master` where it is not kept there.

        Raises NotThere or BadInput.
        """
        if master is None:
            master = CardMaster(_read(authority / _MASTER).decode("ascii", "replace").strip())
        own = keys.read_p256(authority / f"{_PUK}.key.pem")
        return cls(master, own, _public(authority / _GATEWAY_PUK))

    def seal(self, guid: Guid, generation: int, puk: Pin) -> PukEscrow:
        """A PUK for safe keeping."""
        recipients = (self.puk.public_key(), self.gateway)
        return PukEscrow.seal(guid, generation, puk.padded(), recipients)

    def open(self, escrow: PukEscrow) -> Pin:
        """The PUK again. Raises BadInput when it was not sealed to this authority."""
        try:
            return Pin(escrow.open(self.puk).rstrip(b"\xff").decode("ascii"))
        except (EscrowRefused, ValueError) as error:
            raise BadInput(f"the kept PUK of card {escrow.guid} does not open") from error


def make(authority: Path, gateway: Path) -> None:
    """Make all four files, once. Raises AlreadyThere, DiskFailed."""
    keys.write_new(authority / _MASTER, secrets.token_hex(_MASTER_BYTES).encode() + b"\n")
    keys.write_key(authority / f"{_PUK}.key.pem", keys.p256())
    released_by = keys.p256()
    keys.write_key(gateway / f"{_PUK}.key.pem", released_by)
    pem = released_by.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    keys.write_new(authority / _GATEWAY_PUK, pem, 0o644)


def fresh_puk() -> Pin:
    """Eight random digits."""
    return Pin(f"{secrets.randbelow(10**8):08d}")


def _public(path: Path) -> ec.EllipticCurvePublicKey:
    try:
        key = serialization.load_pem_public_key(_read(path))
    except ValueError as error:
        raise BadInput(f"{path} is no public key") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise BadInput(f"{path} is no P-256 public key")
    return key


def _read(path: Path) -> bytes:
    try:
        return durable.read_capped(path, _FILE_CAP)
    except durable.NotThere as error:
        raise NotThere(f"{path} is missing; the authority cannot write to cards without") from error
    except durable.StorageError as error:
        raise BadInput(str(error)) from error
