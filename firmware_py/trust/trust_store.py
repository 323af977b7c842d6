"""What must outlive a damaged directory: key statement, time memory, the highest version held.

One small file, replaced whole (`runtime.durable`), its digest in the first line. It is not
rebuildable from anywhere: who could take it away could set a terminal's time and rights back, so
it stands apart from the directory, and damage is said (`TrustDamaged`), never passed over.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Final, Literal, Self

from contract.events import ClockTrust
from contract.ids import BootIdField, DigestField, Version
from contract.signing import sha256
from contract.tap import DirectoryVersion
from contract.wire import (
    Base64,
    Count,
    Part,
    Record,
    UnixMs,
    WireError,
    decode_base64,
    encode_base64,
)
from firmware_py.trust.sitetime import Anchor, Memory
from firmware_py.trust.statements import Held
from runtime.durable import NotThere, TooLarge, read_capped, write_file


class _Anchor(Part):
    site_ms: UnixMs
    monotonic_ms: Count


class _Time(Part):
    epoch: Count
    floor_ms: UnixMs
    confirmed_ms: UnixMs | None
    unconfirmed_powered_ms: Count
    rtc_checked: bool
    boot: BootIdField
    saved_monotonic_ms: Count
    anchor: _Anchor | None


class _Kept(Record):
    # An envelope is at most 65,535 bytes, its base64 a third more; there may be two.
    CAP: ClassVar[int] = 256 * 1024

    type: Literal["tapover/terminal-trust/v1"] = "tapover/terminal-trust/v1"
    keys: Base64 | None
    time: _Time | None
    version: DirectoryVersion
    head: DigestField | None
    issued_ms: UnixMs
    before: Base64 | None = None
    roots: Base64 | None = None


_DIGEST_LINE: Final = 65
_CAP: Final = _Kept.CAP + _DIGEST_LINE


class TrustDamaged(Exception):
    """The file does not hold what was written. Somebody should know before it is begun anew."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """What is kept. `keys` is the newest key statement's envelope, to be judged at each start.

    `before` is the one that it replaced: its log key signed the checkpoint that may still be held.
    """

    keys: bytes | None = None
    time: Memory | None = None
    highest: Held = Held()  # noqa: RUF009 - frozen
    before: bytes | None = None
    roots: bytes | None = None
    """How the pinned root was replaced (`contract.succession`), to be judged at each start."""


class TrustStore:
    """The file, and what it holds. Every `keep` is durable on return; raises StorageError."""

    def __init__(self, path: Path, remembered: Remembered) -> None:
        """Use `open`, or `Remembered()` for a terminal that begins (or begins anew)."""
        self._path = path
        self._remembered = remembered

    @classmethod
    def open(cls, path: Path) -> Self:
        """Nothing remembered where there is no file. Raises TrustDamaged, StorageError."""
        try:
            data = read_capped(path, _CAP)
        except NotThere:
            return cls(path, Remembered())
        except TooLarge as error:
            raise TrustDamaged(str(error)) from error
        return cls(path, _decode(data))

    @property
    def remembered(self) -> Remembered:
        return self._remembered

    def keep_keys(self, envelope: bytes) -> None:
        """The newest key statement, already judged."""
        held = self._remembered
        if envelope != held.keys:
            self._keep(replace(held, keys=envelope, before=held.keys))

    def keep_roots(self, line: bytes) -> None:
        """The declarations that lead to the root in force, already judged."""
        self._keep(replace(self._remembered, roots=line))

    def keep_time(self, memory: Memory) -> None:
        """Once a minute, after each answered heartbeat, and at the end."""
        self._keep(replace(self._remembered, time=memory))

    def keep_highest(self, held: Held) -> None:
        """After each version that came to be held; never lowers it."""
        if held.version > self._remembered.highest.version:
            self._keep(replace(self._remembered, highest=held))

    def _keep(self, remembered: Remembered) -> None:
        write_file(self._path, _encode(remembered))
        self._remembered = remembered


def _encode(remembered: Remembered) -> bytes:
    highest = remembered.highest
    record = _Kept(
        keys=None if remembered.keys is None else encode_base64(remembered.keys),
        time=None if remembered.time is None else _time(remembered.time),
        version=DirectoryVersion.of(highest.version),
        head=highest.head,
        issued_ms=highest.issued_ms,
        before=None if remembered.before is None else encode_base64(remembered.before),
        roots=None if remembered.roots is None else encode_base64(remembered.roots),
    )
    body = record.to_bytes()
    return sha256(body).encode() + b"\n" + body


def _decode(data: bytes) -> Remembered:
    digest, _, body = data.partition(b"\n")
    if digest != sha256(body).encode():
        raise TrustDamaged("the digest does not fit")
    try:
        kept = _Kept.from_bytes(body)
    except WireError as error:
        raise TrustDamaged(str(error)) from error
    return Remembered(
        keys=None if kept.keys is None else decode_base64(kept.keys),
        time=None if kept.time is None else _memory(kept.time),
        highest=Held(Version(kept.version.epoch, kept.version.n), kept.head, kept.issued_ms),
        before=None if kept.before is None else decode_base64(kept.before),
        roots=None if kept.roots is None else decode_base64(kept.roots),
    )


def _time(memory: Memory) -> _Time:
    anchor = memory.anchor
    return _Time(
        epoch=memory.epoch,
        floor_ms=memory.floor_ms,
        confirmed_ms=memory.confirmed_ms,
        unconfirmed_powered_ms=memory.unconfirmed_powered_ms,
        rtc_checked=memory.rtc_checked,
        boot=memory.boot,
        saved_monotonic_ms=memory.saved_monotonic_ms,
        anchor=_Anchor(site_ms=anchor.site_ms, monotonic_ms=anchor.monotonic_ms)
        if anchor
        else None,
    )


def _memory(time: _Time) -> Memory:
    anchor = time.anchor
    return Memory(
        epoch=time.epoch,
        floor_ms=time.floor_ms,
        confirmed_ms=time.confirmed_ms,
        unconfirmed_powered_ms=time.unconfirmed_powered_ms,
        rtc_checked=time.rtc_checked,
        boot=time.boot,
        saved_monotonic_ms=time.saved_monotonic_ms,
        anchor=Anchor(ClockTrust.SITE, anchor.site_ms, anchor.monotonic_ms) if anchor else None,
    )
