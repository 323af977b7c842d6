"""A peer: foreign software that proves a card's holder, with the same card in the same reader.

What it cost is counted by the card's own log. A run in which 9A signed nothing is no sign-on.
"""

from __future__ import annotations

import subprocess
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, Self

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from benchmarks.ward.pcscd import VirtualReader
from benchmarks.ward.people import Member
from benchmarks.ward.processes import WardError
from contract.directory import Slot
from contract.signing import Algorithm
from hardware.tlv import Tlv
from hardware.virtual.card import Card
from hardware.virtual.control import CardBox
from hardware.virtual.names import CERTIFICATE_OF, Access
from hardware.virtual.names import Slot as CardSlot

_CERTIFICATE: Final = 0x70
_POWER_S: Final = 5.0
ACCESS: Final = Access.CONTACTLESS_LENIENT
"""Strict cards refuse the PIN over contactless, and every peer wants it."""


@dataclass(frozen=True, slots=True)
class Bench:
    """Where a peer works: a card with its PIN, readers, a home of its own."""

    box: CardBox
    readers: Sequence[VirtualReader]
    member: Member
    profile: str
    environment: Mapping[str, str]
    """By which its pcscd is reached."""
    home: Path

    @property
    def is_rsa(self) -> bool:
        """Whether the card's keys are RSA-2048 (else P-256)."""
        credential = self.member.entitlement.credential(Slot.PIV_AUTHENTICATION)
        return credential is not None and credential.algorithm is Algorithm.RSA2048

    def certificate(self) -> x509.Certificate:
        """Of 9A, as the card holds it."""
        held = Card.load(self.member.card).objects[CERTIFICATE_OF[CardSlot.AUTHENTICATION]]
        (der,) = [part.value for part in Tlv.parse_all(held) if part.tag == _CERTIFICATE]
        return x509.load_der_x509_certificate(der)

    def certificate_file(self, path: Path) -> Path:
        """The same, as PEM."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.certificate().public_bytes(Encoding.PEM))
        return path

    def insert(self, reader: VirtualReader) -> None:
        """Puts the card in; returns when the reader has given it power."""
        self.box.insert(reader.port, self.member.card, profile=self.profile, access=ACCESS)
        if not self.box.wait(self.member.card, _POWER_S, powered=True):
            raise WardError(f"the card in {reader.name} was not seen")

    @contextmanager
    def card_in(self) -> Iterator[None]:
        """The card lies in the first reader."""
        self.insert(self.readers[0])
        try:
            yield
        finally:
            self.box.remove(self.readers[0].port)


class Peer(ABC):
    """One way of signing on. A context manager: ready, but not yet warm, when its block begins."""

    name: ClassVar[str]
    package: ClassVar[str]
    """Of Debian, whose version is noted."""
    about: ClassVar[str]
    """Its configuration, and why no published one is quicker."""
    starts: ClassVar[str] = "the program is started; the card lies in the reader"
    ends: ClassVar[str] = "the program has ended and said yes"
    card_stays: ClassVar[bool] = True
    """In the reader, from before the peer is made ready; else it puts the card in itself."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.home = bench.home / type(self).__name__.lower()
        self.home.mkdir(parents=True)

    @property
    @abstractmethod
    def command(self) -> str:
        """What a person would type, the PIN left out."""

    @abstractmethod
    def __enter__(self) -> Self: ...

    @abstractmethod
    def __exit__(self, *_: object) -> None: ...

    @abstractmethod
    def once(self) -> float:
        """One sign-on; milliseconds. Raises WardError."""


@dataclass(frozen=True, slots=True)
class Signed:
    """One sign-on of a peer."""

    total_ms: float
    card_ms: float
    """By the card's own record."""
    exchanges: int


def measured(peer: Peer, runs: int, on_run: Callable[[int], None] = lambda _: None) -> list[Signed]:
    """That many sign-ons. Raises WardError where one ended without a signature by 9A."""
    box, card = peer.bench.box, peer.bench.member.card
    signed = []
    for number in range(runs):
        box.log(card, clear=True)
        total_ms = peer.once()
        log = box.log(card, clear=True)
        if not any(one["slot"] == CardSlot.AUTHENTICATION for one in log["signatures"]):
            raise WardError(f"{peer.name} said yes, but the card's 9A signed nothing")
        signed.append(Signed(total_ms, log["card_ns"] / 1e6, len(log["exchanges"])))
        on_run(number + 1)
    return signed


def version_of(package: str) -> str:
    """Of an installed Debian package; "unknown" elsewhere."""
    try:
        done = subprocess.run(
            ["dpkg-query", "-W", "-f", "${Version}", package],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"
