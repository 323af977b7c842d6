"""How a site's root is replaced: the root before signs a declaration of the one that follows it.

Whoever pinned a root follows a line of such declarations from it, each signed by the root that the
one before named, and believes key statements of the last root alone. Each is a leaf of the log.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import Field

from contract.ids import KeyId, SiteId, SiteIdField
from contract.signing import (
    Algorithm,
    Envelope,
    PayloadType,
    SignatureRefused,
    Statement,
    VerifyKey,
)
from contract.wire import Base64, UnixMs, WireError, decode_base64

# A root lives ten years or more: a line of sixteen is longer than any site.
MAX_SUCCESSIONS: Final = 16
MAX_LINE_BYTES: Final = 32 * 1024
"""Of sixteen envelopes, a line each: one is about a kilobyte."""


class RootSuccession(Statement):
    """Signed by the root that is replaced."""

    PAYLOAD_TYPE: ClassVar[PayloadType] = PayloadType.ROOT

    type: Literal["tapover/root-succession/v1"] = "tapover/root-succession/v1"
    site: SiteIdField
    root: Base64
    """The old root's own SubjectPublicKeyInfo."""
    next: Base64
    """The new root's, P-256."""
    epoch: Annotated[int, Field(ge=2, le=2**31)]
    """The first key epoch that the new root signs."""
    issued_ms: UnixMs

    @classmethod
    def open_pinned(cls, envelope: Envelope, root: KeyId) -> Self:
        """The declaration, once the root of this fingerprint signed it.

        Raises SignatureRefused or WireError.
        """
        if envelope.key_id != root:
            raise SignatureRefused("signed by another root")
        unverified = cls.from_bytes(decode_base64(envelope.payload))
        key = VerifyKey.from_base64(unverified.root)
        if key.key_id != root:
            raise SignatureRefused("it names another root than the one that signed it")
        opened = cls.open(envelope, key)
        if VerifyKey.from_base64(opened.next).algorithm is not Algorithm.P256:
            raise SignatureRefused("a root is P-256")
        return opened

    @property
    def next_id(self) -> KeyId:
        """The new root's fingerprint."""
        return VerifyKey.from_base64(self.next).key_id


def follow(pinned: KeyId, site: SiteId, line: Iterable[Envelope]) -> tuple[KeyId, ...]:
    """The roots from the pinned one on, the one in force last.

    What comes before the pinned root in the line is passed over. Raises SignatureRefused or
    WireError where the line does not hold from there.
    """
    roots = [pinned]
    for envelope in line:
        if len(roots) == 1 and envelope.key_id != pinned:
            continue
        declared = RootSuccession.open_pinned(envelope, roots[-1])
        if declared.site != site or declared.next_id in roots:
            raise SignatureRefused("a declaration of another site, or in a circle")
        roots.append(declared.next_id)
    return tuple(roots)


def split_line(data: bytes) -> tuple[Envelope, ...]:
    """Envelopes as they are kept and sent: one a line. Raises WireError."""
    if len(data) > MAX_LINE_BYTES:
        raise WireError(f"more than {MAX_LINE_BYTES} bytes")
    lines = data.removesuffix(b"\n").split(b"\n") if data else []
    if len(lines) > MAX_SUCCESSIONS:
        raise WireError(f"more than {MAX_SUCCESSIONS} roots")
    return tuple(Envelope.from_bytes(line) for line in lines)


def join_line(envelopes: Iterable[Envelope]) -> bytes:
    """What `split_line` reads."""
    return b"".join(envelope.to_bytes() + b"\n" for envelope in envelopes)
