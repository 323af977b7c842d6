"""Where this terminal belongs, as its enrolment file said, without the token; and its certificate.

The identity folder of an enrolled terminal holds `place.json` beside its keys, and
`terminal.crt.pem` last of all: with that one there, enrolment is over. A later certificate is
written beside it (`terminal.next.*`) and moved over it by `settle`, which a power cut may interrupt
anywhere.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from pydantic import Field

from contract.ids import DigestField, SiteIdField, TerminalIdField, WardIdField
from contract.wire import Record, WireError
from firmware_py.settings import Settings
from runtime.durable import NotThere, StorageError, flush_folder, read_capped
from runtime.settings import CertificateError

PLACE: Final = "place.json"
KEYS: Final = "keys.dsse"
ROOTS: Final = "roots.dsse"
"""How the root followed the pinned one before enrolment; only there where it did."""
CERTIFICATE: Final = "terminal.crt.pem"
KEY: Final = "terminal.key.pem"
NEXT_CERTIFICATE: Final = "terminal.next.crt.pem"
NEXT_KEY: Final = "terminal.next.key.pem"
BATCH_KEY: Final = "batch.key.pem"
IN_TPM: Final = b"-----BEGIN TSS2 PRIVATE KEY-----"
"""By which a file says that the key itself is in the TPM."""

_PEM_CAP: Final = 64 * 1024
"""A certificate or key is some hundred bytes."""
_JITTER_BYTES: Final = 4

Url = Annotated[str, Field(pattern=r"^https://[^\s/]{1,255}$")]


class Place(Record):
    """An enrolment file's lasting part."""

    CAP: ClassVar[int] = 8192

    type: Literal["tapover/place/v1"] = "tapover/place/v1"
    site: SiteIdField
    terminal: TerminalIdField
    ward: WardIdField
    root_fingerprint: DigestField
    enrol_url: Url
    gateway_url: Url
    broker_host: Annotated[str, Field(pattern=r"^[A-Za-z0-9.:-]{1,253}$")]
    broker_port: Annotated[int, Field(ge=1, le=65535)]


def is_enrolled(identity: Path) -> bool:
    """Whether enrolment came to its end in this folder."""
    return (identity / CERTIFICATE).exists()


def read_place(identity: Path) -> Place | None:
    """None where enrolment has not begun. Raises CertificateError for a damaged one."""
    path = identity / PLACE
    try:
        return Place.from_bytes(read_capped(path, Place.CAP))
    except NotThere:
        return None
    except (StorageError, WireError) as error:
        raise CertificateError(f"{path}: {error}; empty its folder to enrol anew") from error


def placed(settings: Settings) -> Settings:
    """The settings with what enrolment said. Raises CertificateError."""
    place = read_place(settings.identity_dir)
    if place is None:
        raise CertificateError(
            f"{settings.identity_dir / PLACE}: is gone; empty its folder to enrol anew"
        )
    return settings.at(
        terminal=place.terminal,
        site=place.site,
        root_fingerprint=place.root_fingerprint,
        enrol_url=place.enrol_url,
        gateway_url=place.gateway_url,
        broker_host=place.broker_host,
        broker_port=place.broker_port,
    )


def settle(identity: Path) -> bool:
    """Put a certificate that came by renewal in the old one's place, with its key.

    Whether there was one. Also goes on where a power cut ended it. Raises StorageError.
    """
    if not (identity / NEXT_CERTIFICATE).exists():
        return False
    try:
        # The certificate goes last: as long as its next one is there, this is to be done again.
        if (identity / NEXT_KEY).exists():
            (identity / NEXT_KEY).replace(identity / KEY)
            flush_folder(identity)
        (identity / NEXT_CERTIFICATE).replace(identity / CERTIFICATE)
    except OSError as error:
        raise StorageError(identity, error.strerror or type(error).__name__) from error
    flush_folder(identity)
    return True


@dataclass(frozen=True, slots=True)
class Life:
    """A certificate's time: Unix milliseconds."""

    from_ms: int
    until_ms: int
    share: float
    """Drawn from the certificate, 0 to 1: a ward enrolled in one hour is not renewed in one."""

    @property
    def renew_ms(self) -> int:
        """At two thirds of its life, and up to a twentieth of it later."""
        whole = self.until_ms - self.from_ms
        return self.from_ms + round(whole * (2 / 3 + self.share / 20))

    def is_due(self, now_ms: int, replaced_s: float | None, spread_s: float) -> bool:
        """Whether it is to be renewed: at its time, or earlier where its CA is replaced.

        `replaced_s` is for how long that has been known, None where it is not so; a ward that hears
        of it in one moment renews over the `spread_s` seconds that follow.
        """
        early = replaced_s is not None and replaced_s >= self.share * spread_s
        return early or now_ms >= self.renew_ms


def read_certificate(path: Path) -> x509.Certificate:
    """Raises CertificateError."""
    try:
        return x509.load_pem_x509_certificate(read_capped(path, _PEM_CAP))
    except (StorageError, ValueError) as error:
        raise CertificateError(f"{path}: {error}; enrol this terminal again") from error


def is_issued_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    """Whether its signature is this CA's: the CA that replaces one may bear the same name."""
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def life_of(parsed: x509.Certificate) -> Life:
    drawn = hashlib.sha256(parsed.signature).digest()[:_JITTER_BYTES]
    return Life(
        _ms(parsed.not_valid_before_utc),
        _ms(parsed.not_valid_after_utc),
        int.from_bytes(drawn) / 2 ** (8 * _JITTER_BYTES),
    )


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
