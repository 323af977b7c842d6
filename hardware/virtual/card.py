"""The card itself: what stays in it without power, and the file that it is kept in.

A card's file is generated test material and says so: it holds private keys and the PIN as they
are, readable by its owner alone. It is replaced whole (written aside, flushed, renamed, directory
flushed), so whatever moment power goes, it is the card before or after a change.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, ValidationError

from hardware.apdu import HardwareError
from hardware.tlv import Tlv, TlvError
from hardware.virtual.keys import CardKey, KeyRefused
from hardware.virtual.names import MANAGEMENT_KEY_BYTES, Algorithm, ObjectTag, PinPolicy
from hardware.virtual.record import CardRecord

DEFAULT_PIN: Final = b"123456"
DEFAULT_PUK: Final = b"12345678"
DEFAULT_MANAGEMENT_KEY: Final = bytes(range(1, 9)) * 3
"""What every new PIV card of the trade comes with; provisioning changes all three."""

SECRET_BYTES: Final = 8
"""PIN and PUK are eight bytes on the wire, padded with FF (part 2 §2.4.3)."""

DEFAULT_TRIES: Final = 3
MAX_FILE: Final = 262_144
"""Largest card file read: 51 kB of objects and 24 keys in hexadecimal, with room."""

_NOTE: Final = "Generated test material: a virtual card. Nothing in it is a secret of anybody."
_KIND: Final = "tapover-virtual-card/1"
_GUID: Final = 0x34


class CardFileError(HardwareError):
    """A card's file is missing, in use, or no card."""


def padded(secret: bytes) -> bytes:
    """PIN or PUK as it goes into a command."""
    return secret.ljust(SECRET_BYTES, b"\xff")


@dataclass(slots=True)
class Reference:
    """A PIN or PUK: its eight bytes, the tries allowed in a row, and those left."""

    value: bytes = field(repr=False)
    allowed: int = DEFAULT_TRIES
    left: int = DEFAULT_TRIES

    def change(self, value: bytes) -> None:
        """Take a new value, with all tries."""
        self.value, self.left = value, self.allowed


@dataclass(slots=True)
class Card:
    """State that outlives power. Change the fields, then :meth:`save`.

    Without a ``path`` the card lives in this process only. ``record`` begins empty each time.
    """

    pin: Reference = field(default_factory=lambda: Reference(padded(DEFAULT_PIN)))
    puk: Reference = field(default_factory=lambda: Reference(padded(DEFAULT_PUK)))
    management_algorithm: Algorithm = Algorithm.TDES
    management_key: bytes = field(default=DEFAULT_MANAGEMENT_KEY, repr=False)
    serial: int = field(default_factory=lambda: secrets.randbelow(1 << 31))
    keys: dict[int, CardKey] = field(default_factory=dict)
    objects: dict[int, bytes] = field(default_factory=dict, repr=False)
    path: Path | None = None
    record: CardRecord = field(default_factory=CardRecord, repr=False, compare=False)

    @classmethod
    def create(cls, path: Path) -> Self:
        """A blank card in a new file. Raises CardFileError if there is one already."""
        card = cls()
        card.keep_in(path)
        return card

    @classmethod
    def load(cls, path: Path) -> Self:
        """The card in ``path``. Raises CardFileError."""
        card = cls(path=path)
        card.reload()
        return card

    def reload(self) -> None:
        """Take the state from the file again; another process may have changed the card."""
        if self.path is None:
            return
        stored = _read(self.path)
        try:
            algorithm = _management_algorithm(stored.management)
            keys = {
                int(slot, 16): CardKey.from_der(key.private, PinPolicy(key.pin_policy))
                for slot, key in stored.keys.items()
            }
            objects = {int(tag, 16): value for tag, value in stored.objects.items()}
        except (ValueError, KeyRefused) as error:
            raise CardFileError(f"{self.path} is no virtual card: {error}") from error
        self.keys, self.objects = keys, objects
        self.pin = Reference(stored.pin.value, stored.pin.allowed, stored.pin.left)
        self.puk = Reference(stored.puk.value, stored.puk.allowed, stored.puk.left)
        self.management_algorithm = algorithm
        self.management_key = stored.management.key
        self.serial = stored.serial

    def keep_in(self, path: Path) -> None:
        """Give a card of this process a new file. Raises CardFileError if there is one already."""
        if path.exists():
            raise CardFileError(f"{path} is there already; a card is never overwritten")
        self.path = path
        self.save()

    def save(self) -> None:
        """Make the present state the one that is left when power goes now."""
        if self.path is not None:
            _replace_file(self.path, _stored(self).model_dump_json(indent=1).encode())

    def wipe(self) -> None:
        """Back to a blank card; its serial number stays."""
        blank = Card()
        self.pin, self.puk = blank.pin, blank.puk
        self.management_algorithm = blank.management_algorithm
        self.management_key = blank.management_key
        self.keys, self.objects = {}, {}

    @property
    def guid(self) -> bytes | None:
        """The GUID of the CHUID, 16 bytes; None on a card without a readable one."""
        try:
            return Tlv(0x53, self.objects[ObjectTag.CHUID]).child(_GUID)
        except (KeyError, TlvError):
            return None

    def clone_with_other_keys(self) -> Card:
        """A forger's copy: every object, hence the GUID, but keys of its own in the same slots."""
        keys = {
            slot: CardKey.generate(key.algorithm, key.pin_policy) for slot, key in self.keys.items()
        }
        return Card(
            pin=Reference(self.pin.value),
            puk=Reference(self.puk.value),
            keys=keys,
            objects=dict(self.objects),
        )

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the card as one reader does. Raises CardFileError while another has it."""
        if self.path is None:
            yield
            return
        lock = os.open(self.path.with_name(self.path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(lock)
            raise CardFileError(f"{self.path} is in another reader") from error
        try:
            self.reload()
            yield
        finally:
            os.close(lock)


def _from_hex(value: object) -> object:
    return bytes.fromhex(value) if isinstance(value, str) else value


Hex = Annotated[bytes, BeforeValidator(_from_hex), PlainSerializer(bytes.hex, return_type=str)]


class _Stored(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", hide_input_in_errors=True)


class _StoredReference(_Stored):
    value: Hex
    allowed: int
    left: int


class _StoredManagement(_Stored):
    algorithm: int
    key: Hex


class _StoredKey(_Stored):
    pin_policy: int
    private: Hex


class _StoredCard(_Stored):
    kind: Literal["tapover-virtual-card/1"]
    note: str
    serial: int
    pin: _StoredReference
    puk: _StoredReference
    management: _StoredManagement
    keys: dict[str, _StoredKey]
    objects: dict[str, Hex]


def _stored(card: Card) -> _StoredCard:
    return _StoredCard(
        kind=_KIND,
        note=_NOTE,
        serial=card.serial,
        pin=_StoredReference(value=card.pin.value, allowed=card.pin.allowed, left=card.pin.left),
        puk=_StoredReference(value=card.puk.value, allowed=card.puk.allowed, left=card.puk.left),
        management=_StoredManagement(
            algorithm=int(card.management_algorithm), key=card.management_key
        ),
        keys={
            f"{slot:02X}": _StoredKey(pin_policy=int(key.pin_policy), private=key.to_der())
            for slot, key in card.keys.items()
        },
        objects={f"{tag:02X}": value for tag, value in card.objects.items()},
    )


def _read(path: Path) -> _StoredCard:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE + 1)
    except OSError as error:
        raise CardFileError(f"{path}: {error.strerror}") from error
    if len(raw) > MAX_FILE:
        raise CardFileError(f"{path} is too large for a card")
    try:
        return _StoredCard.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise CardFileError(f"{path} is no virtual card: {where} {first['msg']}") from error


def _management_algorithm(stored: _StoredManagement) -> Algorithm:
    if MANAGEMENT_KEY_BYTES.get(stored.algorithm) != len(stored.key):
        raise ValueError("management key of the wrong length")
    return Algorithm(stored.algorithm)


def _replace_file(path: Path, content: bytes) -> None:
    aside = path.with_name(path.name + ".new")
    try:
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        raise CardFileError(f"{path}: {error.strerror}") from error
