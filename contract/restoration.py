"""How a log goes on after its gateway was lost: the root's word on what is missing (DESIGN §7.5).

A back-up gives back the log's first leaves. The root declares how many, what the last known
checkpoint was, and under which log epoch the log goes on: this statement is the next leaf, the key
statement with the new epoch the one after it. So the gap is stated for ever, and by nobody else.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field

from contract.ids import KeyId, SiteIdField
from contract.journal import Holds
from contract.signing import Envelope, PayloadType, SignatureRefused, Statement, VerifyKey
from contract.wire import Base64, Count, Record, UnixMs, WireError, decode_base64


class Restoration(Statement):
    """Signed by the root."""

    PAYLOAD_TYPE: ClassVar[PayloadType] = PayloadType.RESTORATION

    type: Literal["tapover/restoration/v1"] = "tapover/restoration/v1"
    site: SiteIdField
    root: Base64
    """The root's own SubjectPublicKeyInfo."""
    epoch: Annotated[int, Field(ge=2, le=2**31)]
    """The key epoch under which the log goes on."""
    log_epoch: Annotated[int, Field(ge=2, le=2**31)]
    """The log epoch that begins."""
    restored: Holds
    """What came back, in the epoch that ended: this statement is leaf `restored.size`."""
    last: Holds
    """The last checkpoint of that epoch that anybody is known to hold."""
    issued_ms: UnixMs

    @classmethod
    def open_pinned(cls, envelope: Envelope, root: KeyId) -> Self:
        """The declaration, once the root of this fingerprint signed it.

        Raises SignatureRefused or WireError, also for one that says nothing that can be.
        """
        if envelope.key_id != root:
            raise SignatureRefused("signed by another root")
        key = VerifyKey.from_base64(cls.from_bytes(decode_base64(envelope.payload)).root)
        if key.key_id != root:
            raise SignatureRefused("it names another root than the one that signed it")
        opened = cls.open(envelope, key)
        restored, last = opened.restored, opened.last
        if (last.epoch, opened.log_epoch) != (restored.epoch, restored.epoch + 1):
            raise WireError("a restoration goes from one log epoch to the next")
        if last.size < restored.size or (last.size == restored.size and last.root != restored.root):
            raise WireError("the last known checkpoint is not beyond what was restored")
        return opened


class Restored(Record):
    """What a gateway says of the back-up that was laid down, for whoever holds the root."""

    CAP: ClassVar[int] = 16 * 1024

    type: Literal["tapover/restored/v1"] = "tapover/restored/v1"
    site: SiteIdField
    log: Holds
    """The log as it came back, with the epoch that ended."""
    directory_epoch: Count
    directory_n: Count
    taken_ms: UnixMs
    """When the back-up was made."""
