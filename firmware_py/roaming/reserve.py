"""Fresh keys for taps: one is always ready, so that no tap waits for one to be made."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final, Self

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from contract.ids import Digest
from contract.signing import sha256

# A card a reader and a pad: more taps than that are never under way.
MAX_NAMED: Final = 8


@dataclass(frozen=True, slots=True)
class Fresh:
    """A key of one tap. It opens what moves here by that tap, and is forgotten soon after."""

    key: ec.EllipticCurvePrivateKey = field(repr=False)
    spki: bytes
    seal: Digest
    """As the tap's record names it."""

    @classmethod
    def make(cls) -> Self:
        key = ec.generate_private_key(ec.SECP256R1())
        spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return cls(key, spki, sha256(spki))


class Reserve:
    """Belongs to the consumer."""

    def __init__(self) -> None:
        self._next: Fresh | None = Fresh.make()
        self._named: deque[Fresh] = deque(maxlen=MAX_NAMED)

    def seal(self) -> Digest:
        """For a tap's record; made on the spot only where two taps come at once."""
        fresh, self._next = self._next or Fresh.make(), None
        self._named.append(fresh)
        return fresh.seal

    def take(self, record: bytes) -> Fresh | None:
        """The key that a record names: once. Keys of earlier taps are forgotten with it."""
        found = next((one for one in self._named if one.seal.encode() in record), None)
        if found is not None:
            while self._named.popleft() is not found:
                pass
        return found

    def refill(self) -> None:
        """Between taps."""
        if self._next is None:
            self._next = Fresh.make()
