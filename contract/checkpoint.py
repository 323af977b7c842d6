"""Checkpoints: C2SP tlog-checkpoint in a C2SP signed note, signed with the site's Ed25519 log key.

    tapover.example/log/1            the origin: site and log epoch
    20852163                         leaves
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=     root, base64
                                     an empty line, then a line for each signature
    — tapover.example/log/1 Az3grl…  name, then base64 of key hash ‖ signature

Signatures of witnesses may follow the log's own; a reader ignores those he does not know.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from contract.ids import Digest, SiteId
from contract.journal import Holds
from contract.signing import Algorithm, SignatureRefused, Signer, VerifyKey
from contract.tree import MAX_PROOF
from contract.wire import Base64, Count, Record, WireError, decode_base64, encode_base64

# A checkpoint with sixteen witnesses' signatures stays below 2 KiB.
MAX_NOTE_BYTES = 4096
# A thousand proofs are half a second's work of a gateway.
MAX_PROVEN_LEAVES = 1000
_ED25519_TYPE = b"\x01"
_SIGNATURE_PREFIX = "— "
_KEY_HASH_BYTES = 4
_ROOT_BYTES = 32
# Origin, size, root, and the nothing after the last newline.
_BODY_LINES = 4


def origin(site: SiteId, epoch: int) -> str:
    """The log's name: also the name of its key in signed notes."""
    return f"tapover.{site}/log/{epoch}"


def raw_ed25519(key: VerifyKey) -> bytes:
    """The 32 bytes of an Ed25519 public key (the end of its SubjectPublicKeyInfo, RFC 8410)."""
    if key.algorithm is not Algorithm.ED25519:
        raise SignatureRefused("a log key is Ed25519")
    return key.spki[-32:]


def key_hash(name: str, key: VerifyKey) -> bytes:
    """The four bytes by which a note names a key."""
    digest = hashlib.sha256(name.encode() + b"\n" + _ED25519_TYPE + raw_ed25519(key)).digest()
    return digest[:_KEY_HASH_BYTES]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's size and root at one moment, believed once a note with the log's signature held."""

    origin: str
    epoch: int
    size: int
    root: bytes

    @property
    def holds(self) -> Holds:
        return Holds(epoch=self.epoch, size=self.size, root=Digest(self.root.hex()))

    def body(self) -> str:
        return f"{self.origin}\n{self.size}\n{encode_base64(self.root)}\n"

    def sign(self, signer: Signer) -> str:
        """The signed note."""
        signature = signer.sign(self.body().encode())
        blob = encode_base64(key_hash(self.origin, signer.public) + signature)
        return f"{self.body()}\n{_SIGNATURE_PREFIX}{self.origin} {blob}\n"


def open_checkpoint(note: str, site: SiteId, epoch: int, key: VerifyKey) -> Checkpoint:
    """The checkpoint in `note`, once the log's own signature holds.

    Raises WireError or SignatureRefused.
    """
    if len(note.encode("utf-8", "surrogatepass")) > MAX_NOTE_BYTES:
        raise WireError(f"more than {MAX_NOTE_BYTES} bytes")
    body, separator, signatures = note.partition("\n\n")
    if not separator:
        raise WireError("a note has an empty line before its signatures")
    body += "\n"
    name = origin(site, epoch)
    lines = body.split("\n")
    if len(lines) != _BODY_LINES or lines[0] != name:
        raise WireError("not a checkpoint of this log")
    size, root = _parse_size(lines[1]), decode_base64(lines[2])
    if len(root) != _ROOT_BYTES:
        raise WireError("a root has 32 bytes")
    key.verify(body.encode(), _own_signature(signatures, name, key))
    return Checkpoint(name, epoch, size, root)


def _parse_size(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or str(int(text[:17])) != text:
        raise WireError("a size is a plain decimal number")
    return int(text)


def _own_signature(signatures: str, name: str, key: VerifyKey) -> bytes:
    if not signatures.endswith("\n"):
        raise WireError("a signature line ends with a newline")
    wanted = key_hash(name, key)
    for line in signatures[:-1].split("\n"):
        who, _, blob = line.removeprefix(_SIGNATURE_PREFIX).partition(" ")
        if not line.startswith(_SIGNATURE_PREFIX):
            raise WireError("not a signature line")
        if who == name:
            raw = decode_base64(blob)
            if raw[:_KEY_HASH_BYTES] == wanted:
                return raw[_KEY_HASH_BYTES:]
    raise SignatureRefused("the log's own signature is missing")


class CheckpointMessage(Record):
    """What the gateway publishes once a second.

    The note, and the proof that it continues `since`.
    """

    CAP: ClassVar[int] = 16 * 1024

    type: Literal["tapover/checkpoint/v1"] = "tapover/checkpoint/v1"
    epoch: Count
    note: Annotated[str, Field(max_length=MAX_NOTE_BYTES)]
    since: Count
    consistency: Annotated[tuple[Base64, ...], Field(max_length=MAX_PROOF)]


class InclusionQuery(Record):
    """A terminal's question for proofs of these leaves in the log of `size` leaves."""

    CAP: ClassVar[int] = 32 * 1024

    size: Count
    leaves: Annotated[tuple[Count, ...], Field(min_length=1, max_length=MAX_PROVEN_LEAVES)]
