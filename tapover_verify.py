"""tapover-verify: checks a site's evidence for somebody who trusts nobody.

Written from docs/evidence.md alone; every § below is a section of that page. Standard library and
`cryptography` only, nothing of the product is imported, nothing is asked of a network or a clock.
Where the page leaves a choice, the stricter reading was taken. The rules, in the order of checking:

- the folder holds exactly the files that the checkpoint's size calls for (§3);
- every tile is recomputed from the leaves and compared byte for byte; so is the root (§2, §3);
- the keys come from the root fingerprint that the auditor brought, the checkpoint from the keys (§4);
- directory changes are one chain of versions (§5), each journal is one chain of batches, each
  signed by its terminal, and what terminals held before was this very log (§6);
- every body named by a statement is there or was deleted under a rule that is itself an event (§7);
- every claim that a card was there is signed by a key of that very card (§7).

Exits (§10): 0 all proven, 1 refused, 2 the input or the arguments cannot be read.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import functools
import hashlib
import json
import os
import re
import stat
import sys
from bisect import bisect_right
from collections import Counter, defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, TypeVar

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

HASH_BYTES: Final = 32
TILE: Final = 256  # hashes in a full tile, leaves in a full bundle (C2SP tlog-tiles)
MAX_ENVELOPE: Final = 65_535  # §1; also what a 16-bit length can say
MAX_EVENT: Final = 4_096  # §7
MAX_BUNDLE: Final = TILE * (2 + MAX_ENVELOPE)
MAX_NOTE: Final = 65_536  # three lines and some hundred witnesses
MAX_BODY: Final = 1 << 20  # a directory entry has no cap on the page; a policy fits a thousandfold
MAX_PROOF: Final = 1 << 20  # two envelopes, an event, 64 hashes, a note
MAX_INTEGER: Final = (1 << 53) - 1  # I-JSON
RSA_BITS: Final = 2048
RSA_EXPONENT: Final = 65_537  # the least that PIV cards use; with a tiny one anybody could sign
KEY_HASH_BYTES: Final = 4
NOTE_LINES: Final = 3
LAST_MS: Final = 253_402_300_799_999  # the end of the year 9999
PROGRESS: Final = 25_000

P256: Final = "ecdsa-p256-sha256"
RSA2048: Final = "rsa2048-pkcs1-sha256"
ED25519: Final = "ed25519"
GATEWAY: Final = "gateway"
CARD_DOMAIN: Final = b"tapover:card:v1\n"
JOURNAL_DOMAIN: Final = b"tapover:journal:v1\n"
LEAF_KINDS: Final = frozenset(
    ("keys", "change-request", "directory-change", "directory-manifest", "enrolment", "batch")
)
STATEMENTS: Final = LEAF_KINDS | {"heartbeat", "receipt"}
CLOCKS: Final = frozenset(("site", "rtc", "unconfirmed"))
PURPOSES: Final = {
    "tap": "taps",
    "pin": "PIN proofs",
    "countersign": "countersigns",
    "move": "moves",
}
SESSION_RESULTS: Final = frozenset(("opened", "resumed"))
CLAIMS: Final = SESSION_RESULTS | {"closed-by-tap", "parked-by-tap", "still-you", "woken", "proved"}

ENVELOPE: Final = re.compile(
    rb'\{"payloadType":"application/vnd\.tapover\.([a-z-]+)\.v1\+json","payload":"([A-Za-z0-9+/=]+)",'
    rb'"signatures":\[\{"keyid":"([0-9a-f]{64})","sig":"([A-Za-z0-9+/=]+)"\}\]\}'
)
HEX: Final = re.compile(r"(?:[0-9a-f]{2})+")
SITE: Final = re.compile(r"[^\s+/\x00-\x1f\x7f]{1,128}")
SIGNATURE_LINE: Final = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/=]+)")

ALTERED: Final = "The export was altered or damaged after the site made it, or never was whole."
FORGED: Final = "Somebody without the key made this, or it was altered after signing."
MALFORMED: Final = "No program that follows the evidence page writes this."
NOT_THERE: Final = "Nothing shows that this card was there: the record may be invented."


class Refused(Exception):
    """Something in the evidence does not hold: what, where, and what that means."""

    def __init__(self, what: str, means: str = "", where: str = "") -> None:
        super().__init__(what)
        self.what, self.means, self.where = what, means, where

    def __str__(self) -> str:
        return f"{self.what}. Where: {self.where}. It means: {self.means}"


class Unreadable(Exception):
    """The input or an argument cannot be read at all; nothing was judged."""


@contextmanager
def at(where: str, means: str = MALFORMED) -> Iterator[None]:
    """Give a refusal from within its place and, where it has none of its own, its meaning."""
    try:
        yield
    except Refused as refusal:
        refusal.where = refusal.where or where
        refusal.means = refusal.means or means
        raise


def shown(text: str) -> str:
    """Untrusted text, fit for somebody's screen: short, and nothing that steers a terminal."""
    printable = "".join(letter if letter.isprintable() else "�" for letter in text[:100])
    return printable + ("…" if len(text) > len(printable) else "")


def plural(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def utc(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def progress(done: int, total: int, what: str) -> None:
    if done % PROGRESS == 0 and done:
        print(f"tapover-verify: {what}: {done:,} of {total:,}", file=sys.stderr, flush=True)


# --- Bytes, JSON, base64 (the page's introduction) ------------------------------------------


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def one_base64(text: str | bytes) -> bytes:
    """Standard base64 in its one spelling: decoded, encoded again, compared."""
    encoded = text.encode("utf-8", "replace") if isinstance(text, str) else text
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as fault:
        raise Refused("base64 that cannot be decoded") from fault
    if base64.b64encode(data) != encoded:
        raise Refused("base64 that is not in its one spelling")
    return data


def one_hex(text: str, size: int) -> bytes:
    if len(text) != 2 * size or not HEX.fullmatch(text):
        raise Refused(f"{shown(text)!r} is not {size} bytes in lower-case hex")
    return bytes.fromhex(text)


def _pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise Refused("JSON with a name twice in one object")
    return fields


def _integer(digits: str) -> int:
    value = int(digits)
    if abs(value) > MAX_INTEGER:
        raise Refused("JSON with an integer beyond 2^53 - 1")
    return value


def _fraction(digits: str) -> object:
    raise Refused(f"JSON with a number that is no integer ({shown(digits)})")


_JSON: Final = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_int=_integer, parse_float=_fraction, parse_constant=_fraction
)


class Record:
    """One JSON object; each reader below refuses a field that is missing or of another type."""

    __slots__ = ("fields",)

    def __init__(self, fields: dict[str, object]) -> None:
        self.fields = fields

    @classmethod
    def parse(cls, data: bytes) -> Record:
        """Strict I-JSON, one object."""
        try:
            text = data.decode("utf-8")
            value: object = _JSON.decode(text)
            if "\\u" in text:
                json.dumps(value, ensure_ascii=False).encode("utf-8")  # half a surrogate pair?
        except (UnicodeError, ValueError, RecursionError) as fault:
            raise Refused("bytes that are no I-JSON") from fault
        return cls(_is(value, dict, "the JSON"))

    def take(self, name: str, kind: type[T]) -> T:
        if name not in self.fields:
            raise Refused(f"the field {name!r} is missing")
        return _is(self.fields[name], kind, f"the field {name!r}")

    def has(self, name: str) -> bool:
        """Whether a field, which must be there, is other than null."""
        return self.take(name, object) is not None

    def text(self, name: str) -> str:
        return self.take(name, str)

    def text_or_none(self, name: str) -> str | None:
        return self.text(name) if self.has(name) else None

    def number(self, name: str) -> int:
        if (value := self.take(name, int)) < 0:
            raise Refused(f"the field {name!r} is below zero")
        return value

    def ms(self, name: str) -> int:
        if (value := self.number(name)) > LAST_MS:
            raise Refused(f"the field {name!r} is no time")
        return value

    def hex(self, name: str, size: int = HASH_BYTES) -> bytes:
        return one_hex(self.text(name), size)

    def hex_or_none(self, name: str, size: int = HASH_BYTES) -> bytes | None:
        return self.hex(name, size) if self.has(name) else None

    def base64(self, name: str) -> bytes:
        return one_base64(self.text(name))

    def record(self, name: str) -> Record:
        return Record(self.take(name, dict))

    def records(self, name: str) -> list[Record]:
        return [Record(_is(one, dict, f"an item of {name!r}")) for one in self.take(name, list)]

    def texts(self, name: str) -> list[str]:
        return [_is(one, str, f"an item of {name!r}") for one in self.take(name, list)]

    def version(self, name: str) -> Version:
        version = self.record(name)
        return version.number("epoch"), version.number("n")

    def salt(self) -> None:
        if not HEX.fullmatch(salt := self.text("salt")) or len(salt) not in {32, 64}:
            raise Refused("a salt that is not 16 or 32 bytes in lower-case hex")


def _is(value: object, kind: type[T], what: str) -> T:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise Refused(f"{what} is no {kind.__name__}")
    return value


Version = tuple[int, int]


# --- Keys and envelopes (§1) ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Key:
    """A public key. `id` is hex H(SPKI); `kind` the only algorithm that it is used with."""

    id: str
    kind: str
    public: ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey

    def signed(self, signature: bytes, message: bytes) -> bool:
        try:
            if isinstance(self.public, ec.EllipticCurvePublicKey):
                if encode_dss_signature(*decode_dss_signature(signature)) != signature:
                    return False  # DER in another encoding
                self.public.verify(signature, message, ec.ECDSA(hashes.SHA256()))
            elif isinstance(self.public, rsa.RSAPublicKey):
                self.public.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
            else:
                self.public.verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


@functools.lru_cache(maxsize=8192)
def read_key(spki: bytes, kind: str) -> Key:
    """A key of exactly this kind from SubjectPublicKeyInfo in its one DER encoding."""
    try:
        public = serialization.load_der_public_key(spki)
    except (ValueError, UnsupportedAlgorithm) as fault:
        raise Refused("a public key that cannot be read") from fault
    if isinstance(public, ec.EllipticCurvePublicKey) and isinstance(public.curve, ec.SECP256R1):
        found = P256
    elif isinstance(public, rsa.RSAPublicKey) and public.key_size == RSA_BITS:
        found = RSA2048 if public.public_numbers().e >= RSA_EXPONENT else "RSA, small exponent"
    else:
        found = ED25519 if isinstance(public, ed25519.Ed25519PublicKey) else "another kind"
    if found != kind or not isinstance(
        public, ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey
    ):
        raise Refused(f"a public key that is no {shown(kind)} ({found})")
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    if public.public_bytes(serialization.Encoding.DER, form) != spki:
        raise Refused("a public key that is not in its one DER encoding")
    return Key(sha256(spki).hex(), kind, public)


@dataclass(frozen=True, slots=True)
class Envelope:
    """A signed statement, its form checked, its signature not yet (`check`)."""

    kind: str
    payload: bytes
    keyid: str
    signature: bytes
    digest: bytes
    record: Record

    def check(self, key: Key, whose: str) -> None:
        name = f"application/vnd.tapover.{self.kind}.v1+json"
        head = f"DSSEv1 {len(name)} {name} {len(self.payload)} ".encode()
        if self.keyid != key.id:
            raise Refused(f"a {self.kind} statement that names another key than {whose}", FORGED)
        if not key.signed(self.signature, head + self.payload):
            raise Refused(f"a {self.kind} statement whose signature by {whose} fails", FORGED)


def read_envelope(line: bytes, kinds: frozenset[str]) -> Envelope:
    """The one spelling of an envelope, of one of these kinds, its payload parsed."""
    found = ENVELOPE.fullmatch(line)
    if found is None or len(line) > MAX_ENVELOPE:
        raise Refused("bytes that are no envelope in its one spelling")
    kind = found[1].decode()
    if kind not in kinds:
        raise Refused(f"a statement of kind {shown(kind)!r}, which does not belong here")
    payload, signature = one_base64(found[2]), one_base64(found[4])
    record = Record.parse(payload)
    if record.text("type") != f"tapover/{kind}/v1":
        raise Refused(f"a {kind} envelope whose payload says another type")
    return Envelope(kind, payload, found[3].decode(), signature, sha256(line), record)


# --- The tree (RFC 9162 §2.1) and the checkpoint (C2SP signed note): §2 ----------------------


def leaf_hash(leaf: bytes) -> bytes:
    return sha256(b"\x00", leaf)


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01", left, right)


class Tree:
    """`levels[k]` holds the hashes of the complete subtrees of 2^k leaves, from the left."""

    def __init__(self) -> None:
        self.levels: list[list[bytes]] = [[]]

    def append(self, leaf: bytes) -> None:
        self.levels[0].append(leaf_hash(leaf))
        level = 0
        while len(self.levels[level]) % 2 == 0:
            if level + 1 == len(self.levels):
                self.levels.append([])
            self.levels[level + 1].append(node_hash(*self.levels[level][-2:]))
            level += 1

    def root(self, size: int) -> bytes:
        """The root over the first `size` leaves, `size` no more than there are."""
        root = b""
        for level in range(size.bit_length()):
            if size >> level & 1:
                left = self.levels[level][(size >> level) - 1]
                root = node_hash(left, root) if root else left
        return root or sha256()


def included(leaf: bytes, index: int, size: int, path: list[bytes], root: bytes) -> bool:
    """RFC 9162 §2.1.3.2."""
    node, last, value = index, size - 1, leaf
    if index >= size:
        return False
    for other in path:
        if last == 0:
            return False
        if node & 1 or node == last:
            value = node_hash(other, value)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            value = node_hash(value, other)
        node, last = node >> 1, last >> 1
    return last == 0 and value == root


@dataclass(frozen=True, slots=True)
class Note:
    """A checkpoint, its form checked; `signatures` are (name, key hash, signature)."""

    signed: bytes
    origin: str
    size: int
    root: bytes
    signatures: list[tuple[str, bytes, bytes]]

    def check(self, keys: Keys, *, alone: bool) -> None:
        """Its signature by the log's key; `alone`: every byte must be covered by it."""
        if self.origin != keys.origin:
            raise Refused(f"a checkpoint of {shown(self.origin)}, not of {keys.origin}", FORGED)
        ours = [one for one in self.signatures if one[:2] == (keys.origin, keys.note_hash)]
        if len(ours) != 1 or not keys.log.signed(ours[0][2], self.signed):
            raise Refused("a checkpoint whose signature by the log's key fails", FORGED)
        if alone and len(self.signatures) > 1:
            raise Refused(
                "signature lines that are not the log's own",
                "They may be witnesses', which this program cannot check and nothing covers; "
                "--allow-witnesses passes over them.",
            )


def read_note(data: bytes) -> Note:
    head, blank, tail = data.partition(b"\n\n")
    try:
        lines, signed = head.decode("utf-8").split("\n"), tail.decode("utf-8")
    except UnicodeError as fault:
        raise Refused("a checkpoint that is no UTF-8") from fault
    if not blank or len(lines) != NOTE_LINES or not signed.endswith("\n"):
        raise Refused("a checkpoint that is not three lines, a blank one and signatures")
    if not re.fullmatch(r"0|[1-9][0-9]{0,15}", lines[1], re.ASCII):
        raise Refused("a checkpoint whose size is no plain number")
    root = one_base64(lines[2])
    if len(root) != HASH_BYTES:
        raise Refused("a checkpoint whose root is no SHA-256")
    signatures = []
    for line in signed[:-1].split("\n"):
        found = SIGNATURE_LINE.fullmatch(line)
        value = one_base64(found[2]) if found else b""
        if found is None or len(value) <= KEY_HASH_BYTES:
            raise Refused("a checkpoint with a line that is no signature")
        signatures.append((found[1], value[:KEY_HASH_BYTES], value[KEY_HASH_BYTES:]))
    return Note(head + b"\n", lines[0], int(lines[1]), root, signatures)


# --- The folder (C2SP tlog-tiles): §3 --------------------------------------------------------


def tile_path(folder: str, number: int, width: int) -> str:
    groups = [f"{number % 1000:03}"]
    while number := number // 1000:
        groups.append(f"x{number % 1000:03}")
    partial = "" if width == TILE else f".p/{width}"
    return f"tile/{folder}/{'/'.join(reversed(groups))}{partial}"


def tiles(count: int) -> Iterator[tuple[int, int]]:
    """(number, width) of the tiles that hold `count` hashes or leaves."""
    for number in range(count // TILE):
        yield number, TILE
    if count % TILE:
        yield count // TILE, count % TILE


def layout(size: int) -> Iterator[str]:
    yield from ("checkpoint", "bodies")
    for number, width in tiles(size):
        yield tile_path("entries", number, width)
    level = 0
    while count := size // TILE**level:
        for number, width in tiles(count):
            yield tile_path(str(level), number, width)
        level += 1


class Export:
    """The folder: which files it holds, and their bytes up to a cap."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.found = self._walk()
        if not self.found & {"checkpoint", "bodies"}:
            raise Unreadable(f"{folder} is no export: neither `checkpoint` nor `bodies` is in it")

    def _walk(self) -> set[str]:
        """Paths of files, and of folders with a slash behind."""
        found, waiting = set(), [""]
        while waiting:
            parent = waiting.pop()
            with os.scandir(self.folder / parent) as listed:
                entries = list(listed)
            for entry in entries:
                name = parent + entry.name
                mode = entry.stat(follow_symlinks=False).st_mode
                if stat.S_ISDIR(mode):
                    waiting.append(name + "/")
                elif not stat.S_ISREG(mode):
                    raise Refused("something that is neither file nor folder", ALTERED, shown(name))
                found.add(name + "/" if stat.S_ISDIR(mode) else name)
        return found

    def check_layout(self, size: int) -> None:
        """Exactly the files that a log of this size has. Stops at the first that is missing."""
        expected = set()
        for path in layout(size):
            if path not in self.found:
                raise Refused(f"a file is missing: a log of {size:,} leaves has it", ALTERED, path)
            expected.add(path)
            while path := path[: path[:-1].rfind("/") + 1]:
                expected.add(path)
        if unexpected := sorted(self.found - expected):
            means = "What no statement covers can say anything; an export holds nothing else."
            raise Refused(
                "something that does not belong to an export", means, shown(unexpected[0])
            )

    def read(self, path: str, cap: int) -> bytes:
        with at(path, ALTERED), (self.folder / path).open("rb") as file:
            if len(data := file.read(cap + 1)) > cap:
                raise Refused(f"a file of more than {cap:,} bytes, which is more than it can hold")
        return data

    def leaves(self, size: int, known: list[bytes] | None = None) -> Iterator[tuple[int, bytes]]:
        """Every leaf with its index; `known`: the hashes seen before, still the same."""
        for number, width in tiles(size):
            path = tile_path("entries", number, width)
            data, position = self.read(path, MAX_BUNDLE), 0
            for index in range(number * TILE, number * TILE + width):
                end = position + 2 + int.from_bytes(data[position : position + 2])
                leaf = data[position + 2 : end]
                if end > len(data) or not leaf:
                    raise Refused(f"leaf {index} is cut off or empty", ALTERED, path)
                if known is not None and leaf_hash(leaf) != known[index]:
                    raise Refused(f"leaf {index} changed while being read", ALTERED, path)
                yield index, leaf
                position = end
            if position != len(data):
                raise Refused("bytes after the last leaf", ALTERED, path)

    def check_tiles(self, size: int, tree: Tree) -> None:
        """Every tile, byte for byte as recomputed from the leaves."""
        level = 0
        while count := size // TILE**level:
            nodes = tree.levels[8 * level]
            for number, width in tiles(count):
                path = tile_path(str(level), number, width)
                first = number * TILE
                if self.read(path, TILE * HASH_BYTES) != b"".join(nodes[first : first + width]):
                    raise Refused("a tile that is not what the leaves hash to", ALTERED, path)
            level += 1


class Bodies:
    """The file `bodies`: where each body lies, by its hash, and which of them statements named."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.places: dict[bytes, tuple[int, int]] = {}
        self.named: set[bytes] = set()
        offset = 0
        while line := self.file.readline(MAX_BODY + 2):
            body, place = line[:-1], (offset, len(line) - 1)
            offset += len(line)
            where = f"bodies, line {len(self.places) + 1}"
            if not line.endswith(b"\n"):
                raise Refused("a body that is cut off, or too long to be one", ALTERED, where)
            if self.places.setdefault(sha256(body), place) != place:
                raise Refused("a body that stands twice", ALTERED, where)

    def get(self, digest: bytes) -> bytes | None:
        if digest not in self.places:
            return None
        offset, length = self.places[digest]
        self.file.seek(offset)
        if sha256(body := self.file.read(length)) != digest:
            raise Refused("a body that changed while being read", ALTERED, "bodies")
        return body

    def check_all_named(self) -> None:
        for line, digest in enumerate(self.places, 1):
            if digest not in self.named:
                means = "It was altered, or slipped in: nobody signed for it."
                raise Refused("a body that no statement names", means, f"bodies, line {line}")


# --- The key statement: §4 -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys in force from the leaf after `leaf` on."""

    leaf: int
    epoch: int
    site: str
    log_epoch: int
    statement: Key
    log: Key
    note_hash: bytes

    @property
    def origin(self) -> str:
        return f"tapover.{self.site}/log/{self.log_epoch}"


def read_keys(line: bytes, leaf: int, fingerprint: str) -> Keys:
    envelope = read_envelope(line, frozenset(("keys",)))
    record, log = envelope.record, envelope.record.record("log")
    if sha256(root := record.base64("root")).hex() != fingerprint:
        means = "This is another site's evidence, or somebody made up a site of the same name."
        raise Refused("a key statement whose root is not the one that you named", means)
    envelope.check(read_key(root, P256), "the site's root")
    if not SITE.fullmatch(site := record.text("site")):
        raise Refused("a site name that cannot stand in a checkpoint")
    for name in ("terminal_ca", "operator_ca", "card_ca"):
        record.take(name, object)
    record.ms("issued_ms")
    log_key = read_key(log.base64("key"), ED25519)
    raw = log_key.public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    log.take("first", object)
    origin = f"tapover.{site}/log/{log.number('epoch')}"
    return Keys(
        leaf,
        record.number("epoch"),
        site,
        log.number("epoch"),
        read_key(record.base64("statement_key"), P256),
        log_key,
        sha256(origin.encode(), b"\n\x01", raw)[:KEY_HASH_BYTES],
    )


class KeyHistory:
    """The key statements of the log, each replacing the one before for the leaves after it."""

    def __init__(self) -> None:
        self.all: list[Keys] = []

    def add(self, new: Keys) -> None:
        if not self.all:
            self.all.append(new)
            return
        if new.epoch <= self.all[-1].epoch:
            raise Refused("a key statement whose epoch is not higher than the one before")
        if (new.site, new.log_epoch) != (self.all[-1].site, self.all[-1].log_epoch):
            raise Refused("a key statement for another site or log epoch than the one before")
        self.all.append(new)

    def before(self, leaf: int) -> Keys:
        """The keys in force at `leaf` (for a checkpoint: its size)."""
        return next((keys for keys in reversed(self.all) if keys.leaf < leaf), self.all[0])

    def statement_key(self, keyid: str, leaf: int) -> Key:
        """The statement key in force at `leaf` or earlier that has this id."""
        for keys in self.all:
            if keys.leaf < leaf and keys.statement.id == keyid:
                return keys.statement
        raise Refused("a heartbeat by a key that is not the site's", FORGED)


# --- The directory: §5 -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Credential:
    slot: str
    algorithm: str
    spki: bytes
    pin_gated: bool


@dataclass(frozen=True, slots=True)
class Entitlement:
    holder: str
    status: str
    credentials: tuple[Credential, ...]

    def credential(self, keyid: str, slots: frozenset[str]) -> Credential | None:
        """The credential with this key in one of these slots."""
        for one in self.credentials:
            if one.slot in slots and sha256(one.spki).hex() == keyid:
                return one
        return None


def read_entitlement(entry: Record) -> Entitlement:
    credentials = []
    for one in entry.records("credentials"):
        slot, algorithm = one.text("slot"), one.text("algorithm")
        if slot not in {"9A", "9E"} or algorithm not in {P256, RSA2048}:
            raise Refused("a credential of a slot or algorithm that the page does not know")
        spki = one.base64("key")
        read_key.__wrapped__(spki, algorithm)
        credentials.append(Credential(slot, algorithm, spki, one.take("pin_gated", bool)))
    if (status := entry.text("status")) not in {"active", "suspended", "revoked", "lost"}:
        raise Refused(f"an entitlement of the unknown status {shown(status)!r}")
    return Entitlement(entry.text("holder"), status, tuple(credentials))


class Directory:
    """Every version of who may sign: entitlements by card, batch keys by terminal."""

    def __init__(self) -> None:
        self.versions: list[Version] = []
        self.digests: list[bytes] = []
        self.known: dict[Version, tuple[int, int]] = {}  # ordinal, leaf
        self.requests: set[bytes] = set()
        self.cards: defaultdict[bytes, list[tuple[int, Entitlement | None]]] = defaultdict(list)
        self.batch_keys: defaultdict[str, dict[str, Key]] = defaultdict(dict)

    def change(self, change: Record, digest: bytes, leaf: int, bodies: Bodies) -> None:
        version, previous = change.version("version"), change.hex_or_none("previous")
        epoch, n = self.versions[-1] if self.versions else (version[0], 0)
        follows = version == (epoch, n + 1) or (version[0] > epoch and version[1] == 1)
        if not follows or previous != (self.digests[-1] if self.digests else None):
            means = "A change is missing, out of order, or belongs to another directory."
            raise Refused(f"a directory change ({name_of(version)}) that does not follow", means)
        request = change.hex_or_none("request")
        if request is not None and request not in self.requests:
            means = "Nothing shows who asked for this change."
            raise Refused("a directory change whose request is no earlier leaf", means)
        change.ms("issued_ms")
        self.versions.append(version)
        self.digests.append(digest)
        self.known[version] = (len(self.versions) - 1, leaf)
        for number, entry in enumerate(change.texts("entries")):
            with at(f"leaf {leaf} (directory {name_of(version)}), entry {number + 1}"):
                bodies.named.add(name := one_hex(entry, HASH_BYTES))
                if (body := bodies.get(name)) is None:
                    raise Refused("a directory entry whose body is not in the export", ALTERED)
                self._entry(Record.parse(body), len(self.versions) - 1)

    def _entry(self, entry: Record, ordinal: int) -> None:
        kind = entry.text("type")
        if kind == "tapover/entitlement/v1":
            entitlement = read_entitlement(entry)
            self.cards[entry.hex("guid", 16)].append((ordinal, entitlement))
        elif kind == "tapover/terminal/v1":
            key = read_key(entry.base64("batch_key"), P256)
            if entry.text("state") not in {"active", "retired"}:
                raise Refused("a terminal of an unknown state")
            self.batch_keys[entry.text("terminal")][key.id] = key
        elif kind == "tapover/removed/v1":
            if (what := entry.text("kind")) not in {"entitlement", "terminal", "policy"}:
                raise Refused("a removal of an unknown kind")
            if what == "entitlement":
                self.cards[entry.hex("id", 16)].append((ordinal, None))
        elif kind == "tapover/policy/v1":
            entry.text("ward")
        else:
            raise Refused(f"a directory entry of the unknown type {shown(kind)!r}")

    def manifest(self, manifest: Record) -> None:
        version = manifest.version("version")
        if version not in self.known:
            raise Refused(f"a manifest of {name_of(version)}, which no earlier leaf made")
        self.check_head(version, manifest.hex("head"), "a manifest")

    def check_head(self, version: Version, head: bytes | None, whose: str) -> None:
        """A head that somebody was shown is the change of the log, where the log has it."""
        if version in self.known and head != self.digests[self.known[version][0]]:
            means = "Somebody was shown another directory than the one in this log."
            raise Refused(f"{whose} with another head for {name_of(version)} than the log", means)

    def entitlement(self, guid: bytes, version: Version, leaf: int) -> Entitlement | None:
        """The entitlement under `guid` in a version that the log had before `leaf`."""
        ordinal, made = self.known.get(version, (0, leaf))
        if made >= leaf:
            means = "Nothing shows which keys the site vouched for when this was recorded."
            raise Refused(f"a record under {name_of(version)}, which no earlier leaf made", means)
        entries = self.cards.get(guid, [])
        newest = bisect_right(entries, ordinal, key=lambda entry: entry[0])
        return entries[newest - 1][1] if newest else None


def name_of(version: Version) -> str:
    return f"version {version[0]}.{version[1]}"


# --- Journals and batches: §6 ----------------------------------------------------------------


@dataclass(slots=True)
class Journal:
    """One chain. `chain[i]` is the value before sequence i; `deleted` names rules by sequence."""

    id: str
    terminal: str
    chain: list[bytes]
    events: list[bytes] = field(default_factory=list)
    batches: list[tuple[int, int]] = field(default_factory=list)  # (first sequence, leaf)
    deleted: dict[int, str] = field(default_factory=dict)

    def leaf_of(self, sequence: int) -> int:
        return self.batches[bisect_right(self.batches, (sequence, MAX_INTEGER)) - 1][1]

    def delivered_before(self, leaf: int) -> int:
        """How many of its events the leaves before `leaf` hold."""
        later = (first for first, where in self.batches if where >= leaf)
        return next(later, len(self.events))

    def place(self, sequence: int) -> str:
        return (
            f"terminal {shown(self.terminal)}, journal {self.id}, sequence {sequence}"
            f" (leaf {self.leaf_of(sequence)})"
        )


class Log:
    """The log, leaf by leaf: what each statement says, in the order in which they stand."""

    def __init__(self, keys: KeyHistory, tree: Tree, bodies: Bodies) -> None:
        self.keys, self.tree, self.bodies = keys, tree, bodies
        self.directory = Directory()
        self.journals: dict[str, Journal] = {}
        self.kinds: Counter[str] = Counter()
        self.foreign_holds = 0

    def take(self, index: int, leaf: bytes) -> None:
        envelope = read_envelope(leaf, LEAF_KINDS)
        self.kinds[envelope.kind] += 1
        if envelope.kind == "batch":
            self._batch(envelope, index)
        elif envelope.kind == "change-request":
            self.directory.requests.add(envelope.digest)
        elif envelope.kind in {"directory-change", "directory-manifest"}:
            keys, record = self.keys.before(index), envelope.record
            envelope.check(keys.statement, "the site's statement key")
            if envelope.kind == "directory-manifest":
                self.directory.manifest(record)
            elif record.text("site") != keys.site:
                raise Refused("a directory change of another site")
            else:
                self.directory.change(record, envelope.digest, index, self.bodies)

    def _batch(self, envelope: Envelope, leaf: int) -> None:
        batch = envelope.record
        terminal, journal_id = batch.text("terminal"), batch.hex("journal", 16)
        where = f"leaf {leaf}, terminal {shown(terminal)}, journal {journal_id.hex()}"
        with at(where):
            if terminal == GATEWAY:
                key: Key | None = self.keys.before(leaf).statement
            else:
                key = self.directory.batch_keys.get(terminal, {}).get(envelope.keyid)
            if key is None:
                means = "Nothing shows that this terminal made it: the directory had no such key."
                raise Refused("a batch by a key that was not the terminal's", means)
            envelope.check(key, "the terminal's batch key")
            start = sha256(JOURNAL_DOMAIN, journal_id)
            journal = self.journals.setdefault(
                journal_id.hex(), Journal(journal_id.hex(), terminal, [start])
            )
            if journal.terminal != terminal:
                raise Refused("a batch in another terminal's journal")
            self._continue(journal, batch, leaf)
            if batch.has("holds"):
                self._holds(batch.record("holds"), leaf)

    def _continue(self, journal: Journal, batch: Record, leaf: int) -> None:
        first, delivered = batch.number("first"), len(journal.events)
        if first != delivered:
            lost = (
                "Events are missing between, or batches stand in another order than they were cut"
            )
            means = f"{lost}." if first > delivered else "The journal was told twice, or forked."
            raise Refused(f"a batch from sequence {first} where {delivered} comes next", means)
        if batch.hex("previous") != journal.chain[-1]:
            means = "The terminal's own chain went on from other events than the log holds: a fork."
            raise Refused(f"a batch that does not continue the chain at sequence {first}", means)
        if not (events := batch.texts("events")):
            raise Refused("a batch without events")
        journal.batches.append((first, leaf))
        for text in events:
            journal.events.append(event := one_hex(text, HASH_BYTES))
            journal.chain.append(sha256(journal.chain[-1], event))
            self.bodies.named.add(event)

    def _holds(self, holds: Record, leaf: int) -> None:
        """A checkpoint that the terminal had accepted earlier is one of this very log."""
        epoch, size, root = holds.number("epoch"), holds.number("size"), holds.hex("root")
        ours = self.keys.before(leaf).log_epoch
        if epoch < ours:
            self.foreign_holds += 1
            return
        means = "The terminal was shown another log: this one was rewritten, or there are two."
        if epoch > ours or size > leaf:
            raise Refused(f"a batch that holds a checkpoint of {size:,} leaves from later", means)
        if root != self.tree.root(size):
            raise Refused(f"a batch that holds another root for the first {size:,} leaves", means)


# --- Events: §7 ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CardRecord:
    guid: bytes
    purpose: str
    version: Version
    heartbeat: bytes | None
    event: bytes  # its digest


@dataclass(slots=True)
class Tally:
    """What one terminal's journals came to; `proven` counts card signatures by purpose."""

    journals: int = 0
    events: int = 0
    proven: Counter[str] = field(default_factory=Counter)
    covered: int = 0  # of these, under the auditor's own checkpoint
    deleted: Counter[str] = field(default_factory=Counter)
    doubts: Counter[str] = field(default_factory=Counter)
    gaps: list[str] = field(default_factory=list)
    not_before: list[int] = field(default_factory=list)  # earliest and latest, ms
    no_bound: int = 0


def read_event(journal: Journal, sequence: int, data: bytes) -> Record:
    """The event's detail, when the event is the one that stands at this place."""
    if len(data) > MAX_EVENT:
        raise Refused(f"an event of more than {MAX_EVENT:,} bytes")
    event = Record.parse(data)
    if event.text("type") != "tapover/event/v1":
        raise Refused("an event of another type")
    said = (event.text("terminal"), event.text("journal"), event.number("sequence"))
    if said != (journal.terminal, journal.id, sequence):
        raise Refused("an event that says another terminal, journal or sequence than its batch")
    if event.text("clock") not in CLOCKS:
        raise Refused("an event with an unknown kind of clock")
    event.take("wall_ms", int)
    event.number("monotonic_ms")
    event.text("boot")
    event.salt()
    detail = event.record("detail")
    detail.text("kind")
    return detail


def mark_deleted(log: Log) -> None:
    """Read the gateway's journal for what it says was deleted, each an event before."""
    for journal in [one for one in log.journals.values() if one.terminal == GATEWAY]:
        for sequence, digest in enumerate(journal.events):
            if (body := log.bodies.get(digest)) is None:
                continue
            with at(journal.place(sequence)):
                detail = read_event(journal, sequence, body)
                if detail.text("kind") == "bodies.deleted":
                    _mark(log, journal, sequence, detail)


def _mark(log: Log, journal: Journal, sequence: int, detail: Record) -> None:
    rule, first, count = detail.text("rule"), detail.number("first"), detail.number("count")
    target = log.journals.get(detail.hex("journal", 16).hex())
    if target is journal:
        known = sequence
    else:
        known = target.delivered_before(journal.leaf_of(sequence)) if target else 0
    if target is None or not count or first + count > known:
        raise Refused("a deletion of events that the log did not hold before it")
    for number in range(first, first + count):
        target.deleted.setdefault(number, rule)


class JournalCheck:
    """One journal's events in order: each claim against what stands before it."""

    def __init__(self, log: Log, journal: Journal, tally: Tally, covered: int) -> None:
        self.log, self.journal, self.tally, self.covered = log, journal, tally, covered
        self.heartbeats: dict[bytes, int] = {}
        self.records: dict[int, CardRecord] = {}
        self.served: set[int] = set()
        self.missed: set[bytes] = set()
        self.sign_ons: Counter[tuple[str | None, ...]] = Counter()
        self.gone = 0  # deleted bodies so far that nothing was laid at yet
        self.readers: dict[str, Callable[[int, Record], None]] = {
            "journal.opened": self._opened,
            "heartbeat.held": self._heartbeat,
            "card.record": self._record,
            "card.outcome": self._outcome,
            "session.changed": self._session,
            "bodies.deleted": self._deleted,
        }

    def event(self, sequence: int, digest: bytes) -> None:
        body, rule = self.log.bodies.get(digest), self.journal.deleted.get(sequence)
        self.tally.events += 1
        if rule is not None:
            if body is not None:
                means = "The gateway says that it deleted this body, and it did not."
                raise Refused("a body that was declared deleted is in the export", means)
            self.tally.deleted[rule] += 1
            self.gone += 1
            return
        if body is None:
            means = "It was left out or altered, and no deletion event accounts for it."
            raise Refused("an event whose body is not in the export", means)
        self.digest = digest
        detail = read_event(self.journal, sequence, body)
        kind = detail.text("kind")
        if (sequence == 0) != (kind == "journal.opened"):
            raise Refused("a journal does not begin with journal.opened, or has a second one")
        if reader := self.readers.get(kind):
            reader(sequence, detail)

    def _opened(self, _sequence: int, detail: Record) -> None:
        detail.text("software")
        previous = detail.hex_or_none("previous_journal", 16)
        head = detail.hex_or_none("previous_head")
        if not (detail.has("previous_next") == (previous is not None) == (head is not None)):
            raise Refused("a journal.opened that names its predecessor by half")
        if previous is None:
            self.tally.doubts["opened"] += 1
            return
        known, before = detail.number("previous_next"), self.log.journals.get(previous.hex())
        if before is not None and (
            before.terminal != self.journal.terminal or before is self.journal
        ):
            raise Refused("a journal that names itself or another terminal's as its predecessor")
        have = len(before.events) if before else 0
        if before is not None and known <= have and before.chain[known] != head:
            means = "The earlier journal in the log is not the one that the terminal wrote."
            raise Refused("a journal whose predecessor had another head", means)
        if known > have:
            self.tally.gaps.append(
                f"journal {previous.hex()} had at least {plural(known, 'event')}, of which "
                f"{have:,} are in the log: {known - have:,} were never delivered"
            )

    def _heartbeat(self, sequence: int, detail: Record) -> None:
        line = detail.base64("envelope")
        envelope = read_envelope(line, frozenset(("heartbeat",)))
        key = self.log.keys.statement_key(envelope.keyid, self.journal.leaf_of(sequence))
        envelope.check(key, "the site's statement key")
        if envelope.record.text("site") != key_site(self.log):
            raise Refused("a heartbeat of another site")
        version, head = envelope.record.version("version"), envelope.record.hex_or_none("head")
        self.log.directory.check_head(version, head, "a heartbeat")
        self.heartbeats[envelope.digest] = envelope.record.ms("issued_ms")

    def _record(self, sequence: int, detail: Record) -> None:
        record = detail.record("record")
        if record.hex("previous") != self.journal.chain[sequence]:
            means = "The card may have signed this at another place in the journal, or in another."
            raise Refused("a card record that names another chain value than its place has", means)
        if (purpose := record.text("purpose")) not in PURPOSES:
            raise Refused(f"a card record of the unknown purpose {shown(purpose)!r}")
        record.hex("nonce")
        heartbeat = record.hex_or_none("heartbeat")
        if heartbeat is not None and heartbeat not in self.heartbeats:
            if not self._may_be_gone(heartbeat):
                means = "Its lower bound in time has nothing behind it."
                raise Refused("a card record whose heartbeat was not held before", means)
            self.tally.doubts["bound"] += 1
        guid, version = record.hex("guid", 16), record.version("directory")
        self.records[sequence] = CardRecord(guid, purpose, version, heartbeat, self.digest)

    def _outcome(self, sequence: int, detail: Record) -> None:
        result, number = detail.text("result"), None
        guid, holder = detail.hex_or_none("guid", 16), detail.text_or_none("holder")
        reason = detail.text_or_none("reason")
        claim, signed = result in CLAIMS, detail.has("signature")
        record = None
        if detail.has("record"):
            number = detail.number("record")
            record = self.records.get(number)
            if record is None and not (number < sequence and number in self.journal.deleted):
                raise Refused(
                    f"an outcome of sequence {number}, which is no card record", NOT_THERE
                )
            if record is not None and record.guid != guid:
                raise Refused("an outcome for another card than its record", NOT_THERE)
        if claim and (number is None or not signed or not detail.has("key")):
            raise Refused(f"{shown(result)!r} without a card's signature", NOT_THERE)
        if claim and number is not None:
            if number in self.served:
                raise Refused(f"{shown(result)!r} by a record that served before", NOT_THERE)
            self.served.add(number)
        if signed and (claim or reason != "card-key-wrong"):
            self._signature(sequence, detail, record, holder)
        if result in SESSION_RESULTS:
            position, session = detail.text_or_none("position"), detail.text_or_none("session")
            self.sign_ons[result, session, holder, position] += 1

    def _signature(
        self, sequence: int, detail: Record, record: CardRecord | None, holder: str | None
    ) -> None:
        """The signature is by a key of the card that the record names, over that very record."""
        signature, key, algorithm = (
            detail.base64("signature"),
            detail.hex("key").hex(),
            detail.text("algorithm"),
        )
        if record is None:
            if not detail.has("record"):
                raise Refused("a card's signature over no record", NOT_THERE)
            self.tally.doubts["signature"] += 1
            return
        leaf = self.journal.leaf_of(sequence)
        entitlement = self.log.directory.entitlement(record.guid, record.version, leaf)
        slots = frozenset(("9A",)) if record.purpose == "pin" else frozenset(("9A", "9E"))
        credential = entitlement.credential(key, slots) if entitlement else None
        if entitlement is None or credential is None or credential.algorithm != algorithm:
            what = f"a signature by a key that was not this card's in {name_of(record.version)}"
            raise Refused(f"{what} of the directory", NOT_THERE)
        if holder != entitlement.holder:
            means = "The tap is written down for somebody else than the card's holder."
            raise Refused("an outcome for another holder than the directory's", means)
        message = CARD_DOMAIN + (self.log.bodies.get(record.event) or b"")
        if not read_key(credential.spki, algorithm).signed(signature, message):
            raise Refused("a card's signature that does not hold", NOT_THERE)
        if detail.text("result") in CLAIMS:
            self._count(record, entitlement, credential, leaf)

    def _count(
        self, record: CardRecord, entitlement: Entitlement, used: Credential, leaf: int
    ) -> None:
        self.tally.proven[record.purpose] += 1
        self.tally.covered += leaf < self.covered
        self.tally.doubts["inactive"] += entitlement.status != "active"
        open_too = any(
            one.slot == "9E" and one.spki == used.spki for one in entitlement.credentials
        )
        self.tally.doubts["pin"] += record.purpose == "pin" and (not used.pin_gated or open_too)
        issued = self.heartbeats.get(record.heartbeat) if record.heartbeat else None
        if issued is None:
            self.tally.no_bound += 1
        else:
            bounds = [*self.tally.not_before, issued]
            self.tally.not_before = [min(bounds), max(bounds)]

    def _session(self, _sequence: int, detail: Record) -> None:
        change = detail.text("change")
        detail.take("cause", object)
        sign_on = (
            change,
            detail.text("session"),
            detail.text_or_none("holder"),
            detail.text_or_none("position"),
        )
        if change not in SESSION_RESULTS:
            return
        if self.sign_ons[sign_on]:
            self.sign_ons[sign_on] -= 1
        elif self._may_be_gone(None):
            self.tally.doubts["session"] += 1
        else:
            means = "Somebody's session was shown without that person's card."
            raise Refused(f"a session {change} without a card outcome of its own", means)

    def _may_be_gone(self, named: bytes | None) -> bool:
        """Whether a deleted body may be the one that is missed; each excuses one thing."""
        if named is not None and named in self.missed:
            return True
        self.gone -= 1
        if named is not None:
            self.missed.add(named)
        return self.gone >= 0

    def _deleted(self, _sequence: int, _detail: Record) -> None:
        if self.journal.terminal != GATEWAY:
            raise Refused("bodies.deleted outside the gateway's own journal")


def key_site(log: Log) -> str:
    return log.keys.all[0].site


def check_events(log: Log, covered: int) -> dict[str, Tally]:
    tallies: defaultdict[str, Tally] = defaultdict(Tally)
    total, done = sum(len(one.events) for one in log.journals.values()), 0
    for journal in log.journals.values():
        tally = tallies[journal.terminal]
        tally.journals += 1
        check = JournalCheck(log, journal, tally, covered)
        for sequence, digest in enumerate(journal.events):
            with at(journal.place(sequence)):
                check.event(sequence, digest)
            progress(done := done + 1, total, "events")
    return dict(sorted(tallies.items()))


# --- What is proven, and what is not: §8 -----------------------------------------------------


@dataclass(slots=True)
class Report:
    """Sentences for a person, `facts` for a program."""

    facts: dict[str, object] = field(default_factory=dict)
    proven: list[str] = field(default_factory=list)
    not_proven: list[str] = field(default_factory=list)


DOUBTS: Final = {
    "signature": "{} whose record was deleted: the card's signature can no longer be checked.",
    "session": "{} whose sign-on may lie among deleted bodies: it can no longer be checked.",
    "bound": "{} whose heartbeat was deleted: the lower bound in time can no longer be checked.",
    "pin": "{} by a key that was not seen to need the PIN: the card is proven, the PIN is not.",
    "inactive": "{} with a card that was suspended, revoked or lost in the directory: look there.",
}


def describe(name: str, tally: Tally, report: Report) -> None:
    """One terminal's sentences."""
    who = "The gateway's own journal" if name == GATEWAY else f"Terminal {shown(name)}"
    signed = ", ".join(
        plural(tally.proven[purpose], words[:-1], words)
        for purpose, words in PURPOSES.items()
        if tally.proven[purpose]
    )
    sentence = (
        f"{who}: {plural(tally.events, 'event')} in {plural(tally.journals, 'journal')}, complete "
        "from the first to the last one delivered, unaltered, in this order"
    )
    if signed:
        sentence += f"; {signed}, each signed by the cardholder's own card"
    if tally.not_before:
        first, last = map(utc, tally.not_before)
        sentence += f", none before {first}, the newest not before {last}"
    report.proven.append(sentence + ".")
    report.not_proven += [f"{who}: a gap. {gap[0].upper()}{gap[1:]}." for gap in tally.gaps]
    if tally.doubts["opened"] > 1:
        count = plural(tally.doubts["opened"], "journal")
        report.not_proven.append(
            f"{who}: {count} name no predecessor: what an earlier one did not deliver is unknown."
        )
    for rule, number in sorted(tally.deleted.items()):
        report.not_proven.append(
            f'{who}: {plural(number, "body", "bodies")} deleted under the rule "{shown(rule)}": '
            "that the events were there is proven, what they said is not."
        )
    report.not_proven += [
        f"{who}: " + words.format(plural(tally.doubts[doubt], "claim"))
        for doubt, words in DOUBTS.items()
        if tally.doubts[doubt]
    ]
    if tally.no_bound:
        report.not_proven.append(
            f"{who}: {plural(tally.no_bound, 'signature')} without a heartbeat: no proof of *not before*."
        )


def describe_log(log: Log, size: int, tallies: dict[str, Tally], own: Note | None) -> Report:
    report, keys = Report(), log.keys.before(size)
    report.facts = {
        "site": keys.site,
        "origin": keys.origin,
        "size": size,
        "root": log.tree.root(size).hex(),
        "leaves": dict(log.kinds),
        "checkpoint_held": own.size if own else None,
        "terminals": {
            name: {
                "journals": one.journals,
                "events": one.events,
                "signed": dict(one.proven),
                "deleted": dict(one.deleted),
                "gaps": one.gaps,
                "doubts": {doubt: one.doubts[doubt] for doubt in DOUBTS if one.doubts[doubt]},
            }
            for name, one in tallies.items()
        },
    }
    report.proven.append(
        f"Site {shown(keys.site)}: the log of {plural(size, 'statement')} ({keys.origin}) is whole; its "
        "keys come from the root that you named, its checkpoint is signed by the log's key."
    )
    newest = f", the newest {name_of(log.directory.versions[-1])}" if log.directory.versions else ""
    changes = plural(len(log.directory.versions), "directory change")
    report.proven.append(f"{changes}, one chain{newest}: every version that was vouched for.")
    for name, tally in tallies.items():
        describe(name, tally, report)
    if own is None:
        report.not_proven.append(
            "That others were shown the same log: you brought no checkpoint of your own."
        )
    else:
        taps = sum(one.covered for one in tallies.values())
        report.proven.append(
            f"The log still begins with the {plural(own.size, 'statement')} of your own checkpoint: "
            f"none of them was altered since you obtained it, and {plural(taps, 'card signature')} "
            "under it were made before that."
        )
    if log.foreign_holds:
        report.not_proven.append(
            f"{plural(log.foreign_holds, 'batch', 'batches')} hold a checkpoint of an earlier log "
            "epoch, which this export cannot show."
        )
    report.not_proven += CLOSING
    return report


CLOSING: Final = (
    "Events that a terminal had not yet delivered.",
    "That the holder herself held the card: a lent card signs too; a PIN proof says more.",
    "That a key in the directory is the named person's card: the site's word; who asked for a change "
    "stands in the log, that signature and those of enrolments are not checked here.",
    "Idle, lock and timing events, and wall times: the terminal's word alone.",
)


# --- The two things to verify ----------------------------------------------------------------


def verify_export(folder: Path, fingerprint: str, own: Path | None, *, witnesses: bool) -> Report:
    export, held = Export(folder), None
    if "checkpoint" not in export.found:
        raise Refused("a file is missing: every export has it", ALTERED, "checkpoint")
    with at("checkpoint", ALTERED):
        note = read_note(export.read("checkpoint", MAX_NOTE))
        if not note.size:
            raise Refused("a log without leaves", "There is no key statement, so nothing to check.")
    export.check_layout(note.size)
    tree, keys, statements = Tree(), KeyHistory(), []
    for index, leaf in export.leaves(note.size):
        tree.append(leaf)
        if index == 0 or leaf.startswith(b'{"payloadType":"application/vnd.tapover.keys.v1+json"'):
            statements.append((index, leaf))
        progress(index, note.size, "leaves hashed")
    export.check_tiles(note.size, tree)
    for index, leaf in statements:
        with at(f"leaf {index} (key statement)"):
            keys.add(read_keys(leaf, index, fingerprint))
    with at("checkpoint"):
        note.check(keys.before(note.size), alone=not witnesses)
        if tree.root(note.size) != note.root:
            raise Refused("a root that the leaves do not hash to", ALTERED)
    if own is not None:
        held = check_own(own, note, keys, tree)
    with (folder / "bodies").open("rb") as file:
        bodies = Bodies(file)
        log = Log(keys, tree, bodies)
        for index, leaf in export.leaves(note.size, tree.levels[0]):
            with at(f"leaf {index}"):
                log.take(index, leaf)
            progress(index, note.size, "leaves read")
        bodies.check_all_named()
        mark_deleted(log)
        tallies = check_events(log, held.size if held else 0)
    return describe_log(log, note.size, tallies, held)


def check_own(path: Path, note: Note, keys: KeyHistory, tree: Tree) -> Note:
    """The auditor's own checkpoint is of this log, which still begins with what it covers."""
    with at(f"your checkpoint {path}", "This is no checkpoint of this log."):
        own = read_note(read_file(path, MAX_NOTE))
        own.check(keys.before(own.size), alone=False)
        if own.size > note.size:
            means = (
                "The export is older than your checkpoint, or leaves were taken away: ask again."
            )
            raise Refused(f"{own.size:,} leaves, of which the export has {note.size:,}", means)
        if own.root != tree.root(own.size):
            means = "The log was rewritten since, or you and others are shown different logs."
            raise Refused(f"another root for the first {own.size:,} leaves than the export", means)
    return own


def read_file(path: Path, cap: int) -> bytes:
    with path.open("rb") as file:
        if len(data := file.read(cap + 1)) > cap:
            raise Unreadable(f"{path} has more than {cap:,} bytes")
    return data


def verify_proof(path: Path, fingerprint: str) -> Report:
    """One event, its batch, the batch's place under a checkpoint (§9)."""
    try:
        proof = Record.parse(read_file(path, MAX_PROOF))
        if proof.text("type") != "tapover/proof/v1":
            raise Unreadable(f"{path} is no proof of the kind tapover/proof/v1")
    except Refused as fault:
        raise Unreadable(f"{path} is no proof: {fault.what}") from fault
    with at("the proof's key statement"):
        keys = read_keys(proof.base64("keys"), 0, fingerprint)
    with at("the proof's checkpoint", FORGED):
        note = read_note(proof.text("checkpoint").encode("utf-8"))
        note.check(keys, alone=False)
    with at("the proof's inclusion path"):
        line, index = proof.base64("batch"), proof.number("leaf")
        nodes = [one_base64(text) for text in proof.texts("inclusion")]
        if not included(leaf_hash(line), index, note.size, nodes, note.root):
            raise Refused(f"a batch that is not leaf {index} under the checkpoint", ALTERED)
    with at("the proof's batch"):
        envelope = read_envelope(line, frozenset(("batch",)))
        batch, event = envelope.record, proof.base64("event")
        digests = [one_hex(text, HASH_BYTES) for text in batch.texts("events")]
        terminal, journal_id = batch.text("terminal"), batch.hex("journal", 16).hex()
        if terminal == GATEWAY:
            envelope.check(keys.statement, "the site's statement key")
        if (digest := sha256(event)) not in digests:
            raise Refused("an event that is not among the batch's", ALTERED)
        sequence = batch.number("first") + digests.index(digest)
    with at("the proof's event"):
        read_event(Journal(journal_id, terminal, []), sequence, event)
    report = Report({"site": keys.site, "origin": keys.origin, "size": note.size, "leaf": index})
    report.facts |= {"terminal": terminal, "journal": journal_id, "sequence": sequence}
    report.proven.append(
        f"Site {shown(keys.site)}: event {sequence} of journal {journal_id}, said to be of terminal "
        f"{shown(terminal)}, stands unaltered in leaf {index} of the log of {note.size:,} statements."
    )
    if terminal != GATEWAY:
        report.not_proven.append(
            "Whose key signed the batch: that needs the directory, so an export of the whole log."
        )
    report.not_proven.append("What the event claims, a card's signature above all: likewise.")
    return report


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("tapover-verify", description="Checks a site's evidence.")
    parser.add_argument("export", nargs="?", type=Path, metavar="EXPORT_DIR")
    parser.add_argument("--root", required=True, metavar="FINGERPRINT", help="of the site's root")
    parser.add_argument("--proof", type=Path, metavar="FILE", help="a single proof, no export")
    parser.add_argument("--checkpoint", type=Path, metavar="FILE", help="one you obtained yourself")
    parser.add_argument("--allow-witnesses", action="store_true", help="pass over their signatures")
    parser.add_argument("--json", action="store_true", help="the findings for a program")
    chosen = parser.parse_args(argv)
    if (chosen.export is None) == (chosen.proof is None):
        parser.error("give either EXPORT_DIR or --proof FILE")
    if chosen.proof is not None and chosen.checkpoint is not None:
        parser.error("--checkpoint goes with EXPORT_DIR")
    if not re.fullmatch(r"[0-9a-f]{64}", chosen.root, re.ASCII):
        parser.error("--root is SHA-256 of the root's key: 64 lower-case hex digits")
    return chosen


def print_report(report: Report) -> None:
    print("Proven:", *(f"  - {one}" for one in report.proven), sep="\n")
    print("Not proven:", *(f"  - {one}" for one in report.not_proven), sep="\n")
    print("ALL PROVEN, but for what is named above.")


def main(argv: list[str] | None = None) -> int:
    """Verify; print the findings; return the exit status of §10."""
    try:
        chosen = arguments(argv)
    except SystemExit as leave:  # argparse has said why, or has helped
        return 2 if leave.code else 0
    try:
        if chosen.proof is not None:
            report = verify_proof(chosen.proof, chosen.root)
        else:
            witnesses: bool = chosen.allow_witnesses
            report = verify_export(
                chosen.export, chosen.root, chosen.checkpoint, witnesses=witnesses
            )
    except Refused as refusal:
        said = {"what": refusal.what, "where": refusal.where, "means": refusal.means}
        print(json.dumps({"verdict": "refused", **said}) if chosen.json else f"REFUSED: {refusal}")
        return 1
    except (Unreadable, OSError) as fault:
        if chosen.json:
            print(json.dumps({"verdict": "unreadable", "what": str(fault)}))
        print(f"tapover-verify: cannot read: {fault}", file=sys.stderr)
        return 2
    if chosen.json:
        lists = {"proven": report.proven, "not_proven": report.not_proven}
        print(json.dumps({"verdict": "proven", **report.facts, **lists}, indent=2))
    else:
        print_report(report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
