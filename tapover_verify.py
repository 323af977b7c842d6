"""tapover-verify: checks a site's evidence for somebody who trusts nobody.

Written from docs/evidence.md alone; every § below is a section of that page. It imports nothing of
the product and asks no network and no clock. Where the page leaves a choice, the stricter reading
was taken. The rules, in the order of checking:

- the folder holds exactly the files that the checkpoint's size calls for (§3);
- every tile is recomputed from the leaves and compared byte for byte; so is the root (§2, §3);
- the keys come from the root fingerprint that the auditor brought, the checkpoint from them (§4);
- directory changes are one chain of versions (§5), each journal is one chain of batches, each
  signed by its terminal, and what terminals held before was this very log (§6);
- every body named by a statement is there or was deleted under a rule that is an event itself, and
  every claim that a card was there is signed by a key of that very card (§7).

Exits (§10): 0 all proven, 1 refused, 2 the input or the arguments cannot be read.
"""

from __future__ import annotations

import argparse
import base64
import functools
import hashlib
import json
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
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")
Version = tuple[int, int]  # of the directory: (key epoch, n)
Public = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey

TILE: Final = 256  # hashes in a full tile, leaves in a full bundle (C2SP tlog-tiles)
MAX_ENVELOPE: Final = 65_535  # §1; also what a 16-bit length can say
MAX_EVENT: Final = 4_096  # §7
MAX_NOTE: Final = 65_536  # three lines and some hundred witnesses
MAX_BODY: Final = 1 << 20  # the page caps no directory entry; the longest fits many times over
MAX_PROOF: Final = 1 << 20  # two envelopes, an event, some 60 hashes and a note
MAX_INTEGER: Final = (1 << 53) - 1  # I-JSON
RSA_EXPONENT: Final = 65_537  # the least that PIV cards use; with a tiny one anybody could sign
LAST_MS: Final = 253_402_300_799_999  # the end of the year 9999
PROGRESS: Final = 25_000  # leaves or events between two words on stderr

P256: Final = "ecdsa-p256-sha256"
RSA2048: Final = "rsa2048-pkcs1-sha256"
ED25519: Final = "ed25519"
GATEWAY: Final = "gateway"
LEAF_KINDS: Final = frozenset(
    ("keys", "change-request", "directory-change", "directory-manifest", "enrolment", "batch")
)
PURPOSES: Final = {"tap": "tap", "pin": "PIN proof", "countersign": "countersign", "move": "move"}
SIGN_ONS: Final = frozenset(("opened", "resumed"))
CLAIMS: Final = SIGN_ONS | {"closed-by-tap", "parked-by-tap", "still-you", "woken", "proved"}
CLOCKS: Final = frozenset(("site", "rtc", "unconfirmed"))
STATUSES: Final = frozenset(("active", "suspended", "revoked", "lost"))

ENVELOPE: Final = re.compile(
    rb'\{"payloadType":"application/vnd\.tapover\.([a-z-]+)\.v1\+json",'
    rb'"payload":"([A-Za-z0-9+/=]+)",'
    rb'"signatures":\[\{"keyid":"([0-9a-f]{64})","sig":"([A-Za-z0-9+/=]+)"\}\]\}'
)
KEYS_PREFIX: Final = b'{"payloadType":"application/vnd.tapover.keys.v1+json"'
HEX: Final = re.compile(r"(?:[0-9a-f]{2})+")
SITE: Final = re.compile(r"[^\s+/\x00-\x1f\x7f]{1,128}")
SIZE: Final = re.compile(r"0|[1-9][0-9]{0,14}", re.ASCII)
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
    """The input cannot be read at all; nothing was judged."""


def need(holds: object, what: str, means: str = "", where: str = "") -> None:
    """Refuse, saying what is wrong, unless the rule holds."""
    if not holds:
        raise Refused(what, means, where)


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


def progress(done: int, total: int, what: str) -> None:
    if done % PROGRESS == 0 and done:
        print(f"tapover-verify: {what}: {done:,} of {total:,}", file=sys.stderr, flush=True)


def read_file(path: Path, cap: int) -> bytes:
    with path.open("rb") as file:
        data = file.read(cap + 1)
    need(len(data) <= cap, f"a file of more than {cap:,} bytes, more than it can need", ALTERED)
    return data


# --- Bytes, JSON, base64: the page's introduction --------------------------------------------
def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def one_base64(text: str | bytes) -> bytes:
    """Standard base64 in its one spelling: decoded, encoded again, compared."""
    encoded = text.encode("utf-8", "replace") if isinstance(text, str) else text
    try:
        data = base64.b64decode(encoded, validate=True)
    except ValueError as fault:
        raise Refused("base64 that cannot be decoded") from fault
    need(base64.b64encode(data) == encoded, "base64 that is not in its one spelling")
    return data


def one_hex(text: str, size: int = 32) -> bytes:
    right = len(text) == 2 * size and HEX.fullmatch(text)
    need(right, f"{shown(text)!r}, which is not {size} bytes in lower-case hex")
    return bytes.fromhex(text)


def _pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    need(len(fields) == len(pairs), "JSON with a name twice in one object")
    return fields


def _number(digits: str) -> int:
    need(digits.lstrip("-").isdigit(), f"JSON with a number that is no integer ({shown(digits)})")
    need(abs(value := int(digits)) <= MAX_INTEGER, "JSON with an integer beyond 2^53 - 1")
    return value


_JSON: Final = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_int=_number, parse_float=_number, parse_constant=_number
)


def typed(value: object, kind: type[T], what: str) -> T:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise Refused(f"{what} is no {kind.__name__}")
    return value


class Record:
    """One JSON object; each reader refuses a field that is missing or of another type."""

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
        except (ValueError, RecursionError) as fault:
            raise Refused("bytes that are no I-JSON") from fault
        return cls(typed(value, dict, "the JSON"))

    def take(self, name: str, kind: type[T]) -> T:
        need(name in self.fields, f"the field {name!r} is missing")
        return typed(self.fields[name], kind, f"the field {name!r}")

    def maybe(self, name: str, read: Callable[[str], T]) -> T | None:
        """A field that may be null but must be there."""
        return None if self.take(name, object) is None else read(name)

    def many(self, name: str, kind: type[T]) -> list[T]:
        return [typed(one, kind, f"an item of {name!r}") for one in self.take(name, list)]

    def text(self, name: str) -> str:
        return self.take(name, str)

    def number(self, name: str) -> int:
        need((value := self.take(name, int)) >= 0, f"the field {name!r} is below zero")
        return value

    def hex(self, name: str, size: int = 32) -> bytes:
        return one_hex(self.text(name), size)

    def hex16(self, name: str) -> bytes:
        return self.hex(name, 16)

    def base64(self, name: str) -> bytes:
        return one_base64(self.text(name))

    def record(self, name: str) -> Record:
        return Record(self.take(name, dict))

    def version(self, name: str) -> Version:
        version = self.record(name)
        return version.number("epoch"), version.number("n")


def name_of(version: Version) -> str:
    return f"version {version[0]}.{version[1]}"


# --- Keys and envelopes: §1 ------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Key:
    """A public key. `id` is hex H(SPKI)."""

    id: str
    public: Public

    def signed(self, signature: bytes, message: bytes) -> bool:
        try:
            if isinstance(self.public, ec.EllipticCurvePublicKey):
                r, s = utils.decode_dss_signature(signature)
                if utils.encode_dss_signature(r, s) != signature:
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
    found = ED25519 if isinstance(public, ed25519.Ed25519PublicKey) else ""
    if isinstance(public, ec.EllipticCurvePublicKey):
        found = P256 if isinstance(public.curve, ec.SECP256R1) else ""
    elif isinstance(public, rsa.RSAPublicKey) and public.public_numbers().e >= RSA_EXPONENT:
        found = f"rsa{public.key_size}-pkcs1-sha256"
    if found != kind or not isinstance(public, Public):
        raise Refused(f"a public key that is no {kind}")
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    again = public.public_bytes(serialization.Encoding.DER, form)
    need(again == spki, "a public key that is not in its one DER encoding")
    return Key(sha256(spki).hex(), public)


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
        message = f"DSSEv1 {len(name)} {name} {len(self.payload)} ".encode() + self.payload
        need(self.keyid == key.id, f"a {self.kind} that names another key than {whose}", FORGED)
        holds = key.signed(self.signature, message)
        need(holds, f"a {self.kind} whose signature by {whose} fails", FORGED)


def read_envelope(line: bytes, kinds: frozenset[str]) -> Envelope:
    """The one spelling of an envelope, of one of these kinds, its payload parsed."""
    found = ENVELOPE.fullmatch(line)
    if found is None or len(line) > MAX_ENVELOPE:
        raise Refused("bytes that are no envelope in its one spelling")
    kind = found[1].decode()
    need(kind in kinds, f"a statement of kind {shown(kind)!r}, which does not belong here")
    payload, signature = one_base64(found[2]), one_base64(found[4])
    record = Record.parse(payload)
    right = record.text("type") == f"tapover/{kind}/v1"
    need(right, f"a {kind} envelope whose payload says another type")
    return Envelope(kind, payload, found[3].decode(), signature, sha256(line), record)


# --- The tree (RFC 9162 §2.1) and the checkpoint (C2SP signed note): §2 ----------------------
class Tree:
    """`levels[k]` holds the hashes of the complete subtrees of 2^k leaves, from the left."""

    def __init__(self) -> None:
        self.levels: list[list[bytes]] = [[]]

    def append(self, leaf: bytes) -> None:
        self.levels[0].append(sha256(b"\x00", leaf))
        level = 0
        while len(self.levels[level]) % 2 == 0:
            if level + 1 == len(self.levels):
                self.levels.append([])
            self.levels[level + 1].append(sha256(b"\x01", *self.levels[level][-2:]))
            level += 1

    def root(self, size: int) -> bytes:
        """The root over the first `size` leaves, `size` no more than there are."""
        root = b""
        for level in range(size.bit_length()):
            if size >> level & 1:
                left = self.levels[level][(size >> level) - 1]
                root = sha256(b"\x01", left, root) if root else left
        return root or sha256()


def climb(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """The root that an inclusion path leads to from a leaf's hash (RFC 9162 §2.1.3), or none."""
    if size == 1 or not path:
        return leaf if size == 1 and not path else b""
    half = 1 << (size - 1).bit_length() - 1
    if index < half:
        return sha256(b"\x01", climb(leaf, index, half, path[:-1]), path[-1])
    return sha256(b"\x01", path[-1], climb(leaf, index - half, size - half, path[:-1]))


@dataclass(frozen=True, slots=True)
class Note:
    """A checkpoint, its form checked; `signatures` are (name, key hash ‖ signature)."""

    signed: bytes
    origin: str
    size: int
    root: bytes
    signatures: list[tuple[str, bytes]]

    def check(self, keys: Keys, *, alone: bool) -> None:
        """Its signature by the log's key; `alone`: every byte must be covered by it."""
        what = f"a checkpoint of {shown(self.origin)}, not of {keys.origin}"
        need(self.origin == keys.origin, what, FORGED)
        hint = keys.note_hash
        ours = [one for name, one in self.signatures if name == keys.origin and one[:4] == hint]
        holds = len(ours) == 1 and keys.log.signed(ours[0][4:], self.signed)
        need(holds, "a checkpoint whose signature by the log's key fails", FORGED)
        means = "Nothing covers them. If they are witnesses', --allow-witnesses passes over them."
        only = len(self.signatures) == 1 or not alone
        need(only, "signature lines that are not the log's own", means)


def read_note(data: bytes) -> Note:
    try:
        text, blank, tail = data.decode("utf-8").partition("\n\n")
    except UnicodeError as fault:
        raise Refused("a checkpoint that is no UTF-8") from fault
    origin, size, root, *more = [*text.split("\n"), "", ""]
    whole = blank and len(more) == 2 and tail.endswith("\n")  # noqa: PLR2004 - the two above
    need(whole, "a checkpoint that is not three lines, a blank one and signatures")
    need(SIZE.fullmatch(size), "a checkpoint whose size is no plain number")
    need(len(value := one_base64(root)) == 32, "a checkpoint whose root is no SHA-256")  # noqa: PLR2004
    signatures = []
    for line in tail[:-1].split("\n"):
        if (found := SIGNATURE_LINE.fullmatch(line)) is None:
            raise Refused("a checkpoint with a line that is no signature")
        signatures.append((found[1], one_base64(found[2])))
    return Note(f"{text}\n".encode(), origin, int(size), value, signatures)


# --- The folder (C2SP tlog-tiles): §3 --------------------------------------------------------
def tile_path(folder: str, number: int, width: int) -> str:
    groups = [f"{number % 1000:03}"]
    while number := number // 1000:
        groups.append(f"x{number % 1000:03}")
    partial = "" if width == TILE else f".p/{width}"
    return f"tile/{folder}/{'/'.join(reversed(groups))}{partial}"


def tiles(size: int) -> Iterator[tuple[str, int, int, int]]:
    """(path, level, first, width) of every tile; level -1 are the bundles of leaves."""
    level = -1
    while count := size // TILE ** max(level, 0):
        for first in range(0, count, TILE):
            width = min(TILE, count - first)
            folder = "entries" if level < 0 else str(level)
            yield tile_path(folder, first // TILE, width), level, first, width
        level += 1


def walk(folder: Path) -> set[str]:
    """The names of files, and of folders with a slash behind."""
    found = set()
    for path in folder.rglob("*"):
        name, mode = path.relative_to(folder).as_posix(), path.lstat().st_mode
        plain = stat.S_ISDIR(mode) or stat.S_ISREG(mode)
        need(plain, "something that is neither file nor folder", ALTERED, shown(name))
        found.add(name + "/" if stat.S_ISDIR(mode) else name)
    if not found & {"checkpoint", "bodies"}:
        raise Unreadable(f"{folder} is no export: neither `checkpoint` nor `bodies` is in it")
    for name in ("checkpoint", "bodies"):
        need(name in found, "a file is missing", ALTERED, name)
    return found


def check_layout(found: set[str], size: int) -> None:
    """Exactly the files that a log of this size has. Stops at the first that is missing."""
    expected = {"checkpoint", "bodies"}
    for path, *_ in tiles(size):
        need(path in found, f"a tile of {size:,} leaves is missing", ALTERED, path)
        expected.add(path)
        while path := path[: path[:-1].rfind("/") + 1]:
            expected.add(path)
    extra = min(found - expected, default="")
    means = "What no statement covers can say anything; an export holds nothing else."
    need(not extra, "something that does not belong to an export", means, shown(extra))


def leaves(folder: Path, size: int) -> Iterator[tuple[int, bytes]]:
    """Every leaf with its index."""
    for path, _, first, width in (tile for tile in tiles(size) if tile[1] < 0):
        with at(path, ALTERED):
            data, start = read_file(folder / path, width * (2 + MAX_ENVELOPE)), 0
            for index in range(first, first + width):
                end = start + 2 + int.from_bytes(data[start : start + 2])
                leaf, start = data[start + 2 : end], end
                need(leaf and end <= len(data), f"leaf {index} is cut off or empty")
                yield index, leaf
            need(start == len(data), "bytes after the last leaf")


def check_tiles(folder: Path, size: int, tree: Tree) -> None:
    """Every tile, byte for byte as recomputed from the leaves."""
    for path, level, first, width in (tile for tile in tiles(size) if tile[1] >= 0):
        with at(path, ALTERED):
            right = b"".join(tree.levels[8 * level][first : first + width])
            found = read_file(folder / path, len(right))
            need(found == right, "a tile that is not what the leaves hash to")


class Bodies:
    """The file `bodies`: where each body lies, by its hash, and which of them statements named."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.places: dict[bytes, tuple[int, int]] = {}
        self.named: set[bytes] = set()
        offset = 0
        while line := file.readline(MAX_BODY + 2):
            with at(f"bodies, line {len(self.places) + 1}", ALTERED):
                need(line.endswith(b"\n"), "a body that is cut off, or too long to be one")
                need((name := sha256(line[:-1])) not in self.places, "a body that stands twice")
            self.places[name] = (offset, len(line) - 1)
            offset += len(line)

    def get(self, digest: bytes) -> bytes | None:
        offset, length = self.places.get(digest, (0, -1))
        self.file.seek(offset)
        return self.file.read(length) if length >= 0 else None

    def check_all_named(self) -> None:
        for line, digest in enumerate(self.places, 1):
            with at(f"bodies, line {line}", "It was altered or slipped in: nobody signed for it."):
                need(digest in self.named, "a body that no statement names")


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
    origin: str
    note_hash: bytes


def read_keys(line: bytes, leaf: int, fingerprint: str) -> Keys:
    envelope = read_envelope(line, frozenset(("keys",)))
    record, log = envelope.record, envelope.record.record("log")
    means = "This is another site's evidence, or somebody made up a site of the same name."
    root = record.base64("root")
    need(sha256(root).hex() == fingerprint, "a root that is not the one that you named", means)
    envelope.check(read_key(root, P256), "the site's root")
    site, log_epoch = record.text("site"), log.number("epoch")
    need(SITE.fullmatch(site), "a site name that cannot stand in a checkpoint")
    for name in ("issued_ms", "terminal_ca", "operator_ca", "card_ca"):
        record.take(name, object)
    log_key = read_key(log.base64("key"), ED25519)
    raw = log_key.public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    origin = f"tapover.{site}/log/{log_epoch}"
    note_hash = sha256(origin.encode(), b"\n\x01", raw)[:4]
    epoch, statement = record.number("epoch"), read_key(record.base64("statement_key"), P256)
    return Keys(leaf, epoch, site, log_epoch, statement, log_key, origin, note_hash)


class KeyHistory(list[Keys]):
    """The key statements of the log, each replacing the one before for the leaves after it."""

    def before(self, leaf: int) -> Keys:
        """The keys in force at `leaf` (for a checkpoint: its size)."""
        return next((keys for keys in reversed(self) if keys.leaf < leaf), self[0])


# --- The directory: §5 -----------------------------------------------------------------------
def check_entitlement(entry: Record) -> None:
    for one in entry.many("credentials", dict):
        slot, algorithm = (credential := Record(one)).text("slot"), credential.text("algorithm")
        known = slot in {"9A", "9E"} and algorithm in {P256, RSA2048}
        need(known, "a credential of a slot or algorithm that the page does not know")
        read_key(credential.base64("key"), algorithm)
        credential.take("pin_gated", bool)
    need(entry.text("status") in STATUSES, "an entitlement of an unknown status")
    entry.text("holder")


class Directory:
    """Every version of who may sign: entitlements by card, batch keys by terminal."""

    def __init__(self) -> None:
        self.versions: list[tuple[Version, bytes]] = []  # with the digest of the change
        self.known: dict[Version, tuple[int, int]] = {}  # ordinal and leaf
        self.requests: set[bytes | None] = {None}
        self.cards: defaultdict[bytes, list[tuple[int, bytes]]] = defaultdict(list)  # body or b""
        self.batch_keys: defaultdict[str, dict[str, Key]] = defaultdict(dict)

    def change(self, change: Record, digest: bytes, leaf: int, bodies: Bodies) -> None:
        version, previous = change.version("version"), change.maybe("previous", change.hex)
        (epoch, n), head = self.versions[-1] if self.versions else ((version[0], 0), None)
        follows = version == (epoch, n + 1) or (version[0] > epoch and version[1] == 1)
        means = "A change is missing, out of order, or belongs to another directory."
        need(follows and previous == head, "a directory change that does not follow", means)
        asked = change.maybe("request", change.hex)
        means = "Nothing shows who asked for this change."
        need(asked in self.requests, "a directory change whose request is no earlier leaf", means)
        change.number("issued_ms")
        self.known[version] = (len(self.versions), leaf)
        self.versions.append((version, digest))
        for number, text in enumerate(change.many("entries", str), 1):
            with at(f"leaf {leaf} (directory {name_of(version)}), entry {number}"):
                bodies.named.add(name := one_hex(text))
                body = bodies.get(name)
                need(body, "a directory entry whose body is not in the export", ALTERED)
                self._entry(Record.parse(body or b""), name, len(self.versions) - 1)

    def _entry(self, entry: Record, name: bytes, ordinal: int) -> None:
        kind = entry.text("type")
        if kind == "tapover/entitlement/v1":
            check_entitlement(entry)
            self.cards[entry.hex16("guid")].append((ordinal, name))
        elif kind == "tapover/terminal/v1":
            key = read_key(entry.base64("batch_key"), P256)
            need(entry.text("state") in {"active", "retired"}, "a terminal of an unknown state")
            self.batch_keys[entry.text("terminal")][key.id] = key
        elif kind == "tapover/removed/v1":
            what = entry.text("kind")
            need(what in {"entitlement", "terminal", "policy"}, "a removal of an unknown kind")
            if what == "entitlement":
                self.cards[entry.hex16("id")].append((ordinal, b""))
        else:
            need(kind == "tapover/policy/v1", "a directory entry of an unknown type")

    def check_head(self, version: Version, head: bytes | None, whose: str) -> None:
        """A head that somebody was shown is the change of the log, where the log has it."""
        if version in self.known:
            means = "Somebody was shown another directory than the one in this log."
            same = head == self.versions[self.known[version][0]][1]
            need(same, f"{whose} with another head for {name_of(version)} than the log", means)

    def entitlement(self, guid: bytes, version: Version, leaf: int) -> bytes:
        """The body (its hash) under `guid` in a version that the log had before `leaf`, or b""."""
        ordinal, made = self.known.get(version, (0, leaf))
        means = "Nothing shows which keys the site vouched for when this was recorded."
        need(made < leaf, f"a record under {name_of(version)}, which no earlier leaf made", means)
        entries = self.cards.get(guid, [])
        newest = bisect_right(entries, ordinal, key=lambda entry: entry[0])
        return entries[newest - 1][1] if newest else b""


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

    def place(self, sequence: int) -> str:
        where = f"sequence {sequence} (leaf {self.leaf_of(sequence)})"
        return f"terminal {shown(self.terminal)}, journal {self.id}, {where}"


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
        keys, record = self.keys.before(index), envelope.record
        self.kinds[envelope.kind] += 1
        if envelope.kind == "batch":
            self._batch(envelope, index)
        elif envelope.kind == "change-request":
            self.directory.requests.add(envelope.digest)
        elif envelope.kind == "directory-change":
            envelope.check(keys.statement, "the site's statement key")
            need(record.text("site") == keys.site, "a directory change of another site")
            self.directory.change(record, envelope.digest, index, self.bodies)
        elif envelope.kind == "directory-manifest":
            envelope.check(keys.statement, "the site's statement key")
            known = (version := record.version("version")) in self.directory.known
            need(known, f"a manifest of {name_of(version)}, which no earlier leaf made")
            self.directory.check_head(version, record.hex("head"), "a manifest")

    def _batch(self, envelope: Envelope, leaf: int) -> None:
        batch = envelope.record
        terminal, journal_id = batch.text("terminal"), batch.hex16("journal")
        with at(f"leaf {leaf}, terminal {shown(terminal)}, journal {journal_id.hex()}"):
            keys = {envelope.keyid: self.keys.before(leaf).statement}
            if terminal != GATEWAY:
                keys = self.directory.batch_keys.get(terminal, {})
            means = "Nothing shows that this terminal made it: the directory had no such key."
            known = envelope.keyid in keys
            need(known, "a batch by a key that was not the terminal's", means)
            envelope.check(keys[envelope.keyid], "the terminal's batch key")
            chain = [sha256(b"tapover:journal:v1\n", journal_id)]
            fresh = Journal(journal_id.hex(), terminal, chain)
            journal = self.journals.setdefault(fresh.id, fresh)
            need(journal.terminal == terminal, "a batch in another terminal's journal")
            self._continue(journal, batch, leaf)
            if holds := batch.maybe("holds", batch.record):
                self._holds(holds, leaf)

    def _continue(self, journal: Journal, batch: Record, leaf: int) -> None:
        first, delivered = batch.number("first"), len(journal.events)
        means = "Events are missing or told twice, the journal forked, or batches are out of order."
        need(first == delivered, f"a batch from {first} where {delivered} comes next", means)
        means = "The terminal's chain went on from other events than the log holds: a fork."
        follows = batch.hex("previous") == journal.chain[-1]
        need(follows, f"a batch that does not continue the chain at sequence {first}", means)
        need(events := batch.many("events", str), "a batch without events")
        journal.batches.append((first, leaf))
        for event in map(one_hex, events):
            journal.events.append(event)
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
        earlier = epoch == ours and size <= leaf
        need(earlier, f"a batch that holds a checkpoint of {size:,} leaves from later", means)
        same = root == self.tree.root(size)
        need(same, f"a batch that holds another root for the first {size:,} leaves", means)


# --- Events: §7 ------------------------------------------------------------------------------
@dataclass(slots=True)
class Tally:
    """What one terminal's journals came to; `signed` counts claims that hold, by purpose."""

    journals: int = 0
    events: int = 0
    signed: Counter[str] = field(default_factory=Counter)
    covered: int = 0  # of these, under the auditor's own checkpoint
    deleted: Counter[str] = field(default_factory=Counter)
    doubts: Counter[str] = field(default_factory=Counter)
    gaps: list[str] = field(default_factory=list)
    not_before: list[int] = field(default_factory=list)  # the earliest and the latest, ms


def read_event(journal: Journal, sequence: int, data: bytes) -> Record:
    """The event's detail, when the event is the one that stands at this place."""
    need(len(data) <= MAX_EVENT, f"an event of more than {MAX_EVENT:,} bytes")
    event = Record.parse(data)
    need(event.text("type") == "tapover/event/v1", "an event of another type")
    said = (event.text("terminal"), event.text("journal"), event.number("sequence"))
    same = said == (journal.terminal, journal.id, sequence)
    need(same, "an event that says another terminal, journal or sequence than its batch")
    need(event.text("clock") in CLOCKS, "an event with an unknown kind of clock")
    one_hex(salt := event.text("salt"), 16 if len(salt) == 32 else 32)  # noqa: PLR2004 - digits
    for name, kind in (("boot", str), ("monotonic_ms", int), ("wall_ms", int)):
        event.take(name, kind)
    return event.record("detail")


def mark_deleted(log: Log, journal: Journal, sequence: int, detail: Record) -> None:
    """What the gateway says that it deleted: bodies of events that the log held before."""
    target = log.journals.get(detail.hex16("journal").hex(), Journal("", "", []))
    first, count, leaf = detail.number("first"), detail.number("count"), journal.leaf_of(sequence)
    later = (start for start, where in target.batches if where >= leaf)
    held = sequence if target is journal else next(later, len(target.events))
    right = count and first + count <= held
    need(right, "a deletion of events that the log did not hold before it")
    target.deleted |= dict.fromkeys(range(first, first + count), detail.text("rule"))


def read_deletions(log: Log) -> None:
    for journal in [one for one in log.journals.values() if one.terminal == GATEWAY]:
        for sequence, digest in enumerate(journal.events):
            with at(journal.place(sequence)):
                if body := log.bodies.get(digest):
                    detail = read_event(journal, sequence, body)
                    if detail.text("kind") == "bodies.deleted":
                        mark_deleted(log, journal, sequence, detail)


class JournalCheck:
    """One journal's events in order: each claim against what stands before it."""

    def __init__(self, log: Log, journal: Journal, tally: Tally, covered: int) -> None:
        self.log, self.journal, self.tally, self.covered = log, journal, tally, covered
        self.heartbeats: dict[bytes, int | None] = {}  # issued_ms; None: deleted
        self.records: dict[int, tuple[Record, bytes]] = {}  # with the event's digest
        self.served: set[int] = set()
        self.sign_ons: Counter[tuple[str | None, ...]] = Counter()
        self.gone = 0  # deleted bodies so far; each may be the one thing that is missed
        self.digest = b""
        self.readers: dict[str, Callable[[int, Record], None]] = {
            "journal.opened": self._opened,
            "heartbeat.held": self._heartbeat,
            "card.record": self._record,
            "card.outcome": self._outcome,
            "session.changed": self._session,
        }

    def event(self, sequence: int, digest: bytes) -> None:
        body, rule = self.log.bodies.get(digest), self.journal.deleted.get(sequence)
        self.tally.events += 1
        if rule is not None:
            means = "The gateway says that it deleted this body, and it did not."
            need(body is None, "a body that was declared deleted is in the export", means)
            self.tally.deleted[rule] += 1
            self.gone += 1
            return
        if body is None:
            means = "It was left out or altered, and no deletion event accounts for it."
            raise Refused("an event whose body is not in the export", means)
        self.digest = digest
        detail = read_event(self.journal, sequence, body)
        kind = detail.text("kind")
        right = (sequence == 0) == (kind == "journal.opened")
        need(right, "a journal that does not begin with journal.opened, or has a second one")
        right = kind != "bodies.deleted" or self.journal.terminal == GATEWAY
        need(right, "bodies.deleted outside the gateway's own journal")
        if reader := self.readers.get(kind):
            reader(sequence, detail)

    def _opened(self, _sequence: int, detail: Record) -> None:
        previous = detail.maybe("previous_journal", detail.hex16)
        head, known = detail.take("previous_head", object), detail.take("previous_next", object)
        if previous is None:
            need(head is known is None, "a journal.opened that names its predecessor by half")
            self.tally.doubts["opened"] += 1
            return
        head, known = detail.hex("previous_head"), detail.number("previous_next")
        before, own = self.log.journals.get(previous.hex()), self.journal
        start = sha256(b"tapover:journal:v1\n", previous)
        before = before or Journal(previous.hex(), own.terminal, [start])
        right = before.terminal == own.terminal and before is not own
        need(right, "a journal that names itself or another terminal's as its predecessor")
        missing = known - len(before.events)
        means = "The earlier journal in the log is not the one that the terminal wrote."
        right = missing > 0 or before.chain[known] == head
        need(right, "a journal whose predecessor had another head", means)
        if missing > 0:
            gap = f"journal {before.id} had at least {plural(known, 'event')}"
            self.tally.gaps.append(f"{gap}, of which {missing:,} were never delivered")

    def _heartbeat(self, sequence: int, detail: Record) -> None:
        envelope = read_envelope(detail.base64("envelope"), frozenset(("heartbeat",)))
        heartbeat, leaf = envelope.record, self.journal.leaf_of(sequence)
        known = [one for one in self.log.keys if one.leaf < leaf]
        ours = [one.statement for one in known if one.statement.id == envelope.keyid]
        need(ours, "a heartbeat by a key that is not the site's", FORGED)
        envelope.check(ours[0], "the site's statement key")
        need(heartbeat.text("site") == known[0].site, "a heartbeat of another site")
        version, head = heartbeat.version("version"), heartbeat.maybe("head", heartbeat.hex)
        self.log.directory.check_head(version, head, "a heartbeat")
        need((issued := heartbeat.number("issued_ms")) <= LAST_MS, "a heartbeat of no time")
        self.heartbeats[envelope.digest] = issued

    def _record(self, sequence: int, detail: Record) -> None:
        record = detail.record("record")
        means = "The card may have signed this at another place in the journal, or in another."
        right = record.hex("previous") == self.journal.chain[sequence]
        need(right, "a card record that names another chain value than its place has", means)
        need(record.text("purpose") in PURPOSES, "a card record of an unknown purpose")
        _ = record.hex("nonce"), record.hex16("guid"), record.version("directory")
        heartbeat = record.maybe("heartbeat", record.hex)
        if heartbeat is not None and heartbeat not in self.heartbeats:
            means = "Its lower bound in time has nothing behind it."
            self._missed("bound", "a card record whose heartbeat was not held before", means)
            self.heartbeats[heartbeat] = None
        self.records[sequence] = (record, self.digest)

    def _missed(self, doubt: str, what: str, means: str) -> None:
        """Something that must stand earlier does not: at most it was deleted, one for each."""
        need(self.gone, what, means)
        self.gone -= 1
        self.tally.doubts[doubt] += 1

    def _outcome(self, sequence: int, detail: Record) -> None:
        result, number = detail.text("result"), detail.maybe("record", detail.number)
        record, claim = None, result in CLAIMS
        if number is not None:
            record = self.records.get(number)
            known = record or (number < sequence and number in self.journal.deleted)
            need(known, f"an outcome of {number}, which is no card record", NOT_THERE)
            same = not record or record[0].hex16("guid") == detail.maybe("guid", detail.hex16)
            need(same, "an outcome for another card than its record", NOT_THERE)
        signature = detail.maybe("signature", detail.base64)
        wrong_key = detail.maybe("reason", detail.text) == "card-key-wrong"
        if claim:
            whole = None not in (number, detail.maybe("key", detail.hex), signature)
            need(whole, f"{result!r} without a card's signature", NOT_THERE)
            need(number not in self.served, f"{result!r} by a record that served", NOT_THERE)
            self.served.add(number or 0)
        if signature is not None and (claim or not wrong_key):
            need(number is not None, "a card's signature over no record", NOT_THERE)
            if record:
                self._signature(self.journal.leaf_of(sequence), detail, *record)
            else:
                self.tally.doubts["signature"] += 1
        self.sign_ons[(result, *_whose(detail))] += 1

    def _signature(self, leaf: int, detail: Record, record: Record, event: bytes) -> None:
        """It is by a key of this card in the version that the record names, over that record."""
        version = record.version("directory")
        name = self.log.directory.entitlement(record.hex16("guid"), version, leaf)
        entitlement = Record.parse(self.log.bodies.get(name) or b'{"credentials":[]}')
        pin, key = record.text("purpose") == "pin", detail.hex("key")
        keys = [Record(one) for one in entitlement.many("credentials", dict)]
        keys = [one for one in keys if sha256(one.base64("key")) == key]
        used = [one for one in keys if not pin or one.text("slot") == "9A"]
        right = used and used[0].text("algorithm") == detail.text("algorithm")
        what = f"a signature by a key that was not this card's in {name_of(version)}"
        need(right, what, NOT_THERE)
        means = "The tap is written down for somebody else than the card's holder."
        same = detail.maybe("holder", detail.text) == entitlement.text("holder")
        need(same, "an outcome for another holder than the directory's", means)
        public = read_key(used[0].base64("key"), used[0].text("algorithm"))
        message = b"tapover:card:v1\n" + (self.log.bodies.get(event) or b"")
        holds = public.signed(detail.base64("signature"), message)
        need(holds, "a card's signature that does not hold", NOT_THERE)
        if detail.text("result") in CLAIMS:
            tally, heartbeat = self.tally, record.maybe("heartbeat", record.hex)
            tally.signed[record.text("purpose")] += 1
            tally.covered += leaf < self.covered
            tally.doubts["inactive"] += entitlement.text("status") != "active"
            tally.doubts["pin"] += pin and (len(keys) > 1 or not used[0].take("pin_gated", bool))
            tally.doubts["time"] += heartbeat is None
            issued = self.heartbeats[heartbeat] if heartbeat else None
            bounds = [*tally.not_before, *([] if issued is None else [issued])]
            tally.not_before = [min(bounds), max(bounds)] if bounds else []

    def _session(self, _sequence: int, detail: Record) -> None:
        sign_on = (change := detail.text("change"), *_whose(detail))
        detail.take("cause", object)
        if change in SIGN_ONS and not self.sign_ons[sign_on]:
            means = "Somebody's session was shown without that person's card."
            self._missed("session", f"a session {change} without a card outcome of its own", means)
        elif change in SIGN_ONS:
            self.sign_ons[sign_on] -= 1


def _whose(detail: Record) -> list[str | None]:
    return [detail.maybe(name, detail.text) for name in ("session", "holder", "position")]


def check_events(log: Log, covered: int) -> dict[str, Tally]:
    tallies: defaultdict[str, Tally] = defaultdict(Tally)
    total, done = sum(len(one.events) for one in log.journals.values()), 0
    for journal in log.journals.values():
        check = JournalCheck(log, journal, tallies[journal.terminal], covered)
        check.tally.journals += 1
        for sequence, digest in enumerate(journal.events):
            with at(journal.place(sequence)):
                check.event(sequence, digest)
            progress(done := done + 1, total, "events")
    return dict(sorted(tallies.items()))


# --- What is proven, and what is not: §8 -----------------------------------------------------
@dataclass(slots=True)
class Report:
    """`facts` for a program, sentences for a person."""

    facts: dict[str, object]
    proven: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)  # not proven


DOUBTS: Final = {
    "signature": "whose record was deleted: the card's signature can no longer be checked",
    "session": "to have signed on in a body that was deleted: it can no longer be checked",
    "bound": "whose heartbeat was deleted: the bound *not before* can no longer be checked",
    "time": "without a heartbeat: nothing shows *not before*",
    "pin": "by a key that was not seen to need the PIN: the card is proven, the PIN is not",
    "inactive": "with a card that was suspended, revoked or lost in the directory: look there",
}
CLOSING: Final = (
    "Events that a terminal had not yet delivered.",
    "That the holder herself held the card: a lent card signs too; a PIN proof says more.",
    "That a key in the directory is on the named person's card: that is the site's word.",
    "Who signed change requests and enrolments: their keys are not in the log.",
    "Idle, lock and timing events, and wall times: the terminal's word alone.",
)


def describe(name: str, tally: Tally, report: Report) -> None:
    """One terminal's sentences."""
    who = "The gateway's own journal" if name == GATEWAY else f"Terminal {shown(name)}"
    said = f"{who}: {plural(tally.events, 'event')} in {plural(tally.journals, 'journal')}, "
    said += "complete from the first to the last one delivered, unaltered, in this order"
    counts = [plural(tally.signed[one], PURPOSES[one]) for one in PURPOSES if tally.signed[one]]
    if counts:
        said += f"; {', '.join(counts)}, each signed by the cardholder's own card"
    if tally.not_before:
        ends = [datetime.fromtimestamp(ms // 1000, UTC) for ms in tally.not_before]
        said += f", none before {ends[0]:%F %T} UTC, the newest not before {ends[-1]:%F %T} UTC"
    report.proven.append(f"{said}.")
    report.open += [f"{who}: a gap: {gap}." for gap in tally.gaps]
    for rule, number in sorted(tally.deleted.items()):
        bodies = f'{plural(number, "body", "bodies")} deleted under the rule "{shown(rule)}"'
        report.open.append(f"{who}: {bodies}: that they were there is proven, their content not.")
    if (count := tally.doubts["opened"]) > 1:
        what = "name no predecessor: what an earlier one did not deliver is unknown"
        report.open.append(f"{who}: {count} journals {what}.")
    for doubt, words in DOUBTS.items():
        if count := tally.doubts[doubt]:
            report.open.append(f"{who}: {plural(count, 'claim')} {words}.")


def describe_log(log: Log, size: int, tallies: dict[str, Tally], own: Note | None) -> Report:
    keys, directory = log.keys.before(size), log.directory
    report = Report({"site": keys.site, "origin": keys.origin, "size": size, "leaves": log.kinds})
    facts = ("journals", "events", "signed", "deleted", "gaps")
    report.facts["terminals"] = {
        name: {fact: getattr(one, fact) for fact in facts} for name, one in tallies.items()
    }
    report.proven.append(
        f"Site {shown(keys.site)}: the log of {plural(size, 'statement')} ({keys.origin}) is whole;"
        " its keys come from the root that you named, its checkpoint is signed by the log's key."
    )
    newest = f", the newest {name_of(directory.versions[-1][0])}" if directory.versions else ""
    changes = plural(len(directory.versions), "directory change")
    report.proven.append(f"{changes}, one chain{newest}: every version that was vouched for.")
    for name, tally in tallies.items():
        describe(name, tally, report)
    if own is None:
        report.open.append("That others see the same log: you brought no checkpoint of your own.")
    else:
        count = plural(sum(one.covered for one in tallies.values()), "card signature")
        report.proven.append(
            f"The log still begins with the {plural(own.size, 'statement')} of your own checkpoint:"
            f" none was altered since you obtained it, and {count} under it were made before that."
        )
    if log.foreign_holds:
        what = "named a checkpoint of an earlier log epoch, which this export cannot show"
        report.open.append(f"{plural(log.foreign_holds, 'batch', 'batches')} {what}.")
    report.open += CLOSING
    return report


# --- The two things to verify, and the command: §9, §10 --------------------------------------
def verify_export(chosen: argparse.Namespace) -> Report:
    folder: Path = chosen.export
    found = walk(folder)
    with at("checkpoint", ALTERED):
        note = read_note(read_file(folder / "checkpoint", MAX_NOTE))
        need(note.size, "a log without leaves, so without keys")
    check_layout(found, note.size)
    tree, keys, statements = Tree(), KeyHistory(), []
    for index, leaf in leaves(folder, note.size):
        tree.append(leaf)
        if index == 0 or leaf.startswith(KEYS_PREFIX):
            statements.append((index, leaf))
        progress(index, note.size, "leaves hashed")
    check_tiles(folder, note.size, tree)
    for index, leaf in statements:
        with at(f"leaf {index} (key statement)"):
            keys.append(new := read_keys(leaf, index, chosen.root))
            need(new.epoch > keys[-2].epoch if index else True, "an epoch that is not a higher one")
            same = (new.site, new.log_epoch) == (keys[0].site, keys[0].log_epoch)
            need(same, "a key statement of another site or log epoch than the first")
    with at("checkpoint", ALTERED):
        note.check(keys.before(note.size), alone=not chosen.allow_witnesses)
        need(tree.root(note.size) == note.root, "a root that the leaves do not hash to")
    held = check_own(chosen.checkpoint, note, keys, tree) if chosen.checkpoint else None
    with (folder / "bodies").open("rb") as file:
        log = Log(keys, tree, Bodies(file))
        for index, leaf in leaves(folder, note.size):
            with at(f"leaf {index}"):
                log.take(index, leaf)
            progress(index, note.size, "leaves read")
        log.bodies.check_all_named()
        read_deletions(log)
        tallies = check_events(log, held.size if held else 0)
    return describe_log(log, note.size, tallies, held)


def check_own(path: Path, note: Note, keys: KeyHistory, tree: Tree) -> Note:
    """The auditor's own checkpoint is of this log, which still begins with what it covers."""
    with at(f"your checkpoint {path}", "This is no checkpoint of this log."):
        own = read_note(read_file(path, MAX_NOTE))
        own.check(keys.before(own.size), alone=False)
        means = "The export is older than your checkpoint, or leaves were taken away: ask again."
        what = f"{own.size:,} leaves, of which the export has {note.size:,}"
        need(own.size <= note.size, what, means)
        means = "The log was rewritten since, or you and others are shown different logs."
        same = own.root == tree.root(own.size)
        need(same, f"another root for the first {own.size:,} leaves than the export", means)
    return own


def verify_proof(chosen: argparse.Namespace) -> Report:
    """One event, its batch, the batch's place under a checkpoint."""
    try:
        proof = Record.parse(read_file(chosen.proof, MAX_PROOF))
        need(proof.text("type") == "tapover/proof/v1", "JSON of another type")
    except Refused as fault:
        raise Unreadable(f"{chosen.proof} is no proof: {fault.what}") from fault
    with at("the proof", ALTERED):
        keys = read_keys(proof.base64("keys"), 0, chosen.root)
        note = read_note(proof.text("checkpoint").encode("utf-8"))
        note.check(keys, alone=False)
        line, index = proof.base64("batch"), proof.number("leaf")
        nodes = [one_base64(text) for text in proof.many("inclusion", str)]
        found = climb(sha256(b"\x00", line), index, note.size, nodes)
        stands = index < note.size and found == note.root
        need(stands, f"a batch that is not leaf {index} under the checkpoint")
        envelope, event = read_envelope(line, frozenset(("batch",))), proof.base64("event")
        batch = envelope.record
        terminal, journal_id = batch.text("terminal"), batch.hex16("journal").hex()
        if terminal == GATEWAY:
            envelope.check(keys.statement, "the site's statement key")
        digests = [one_hex(text) for text in batch.many("events", str)]
        need((digest := sha256(event)) in digests, "an event that is not among the batch's")
        sequence = batch.number("first") + digests.index(digest)
        read_event(Journal(journal_id, terminal, []), sequence, event)
    report = Report({"site": keys.site, "origin": keys.origin, "size": note.size, "leaf": index})
    report.facts |= {"terminal": terminal, "journal": journal_id, "sequence": sequence}
    report.proven.append(
        f"Site {shown(keys.site)}: event {sequence} of journal {journal_id}, said to be of terminal"
        f" {shown(terminal)}, stands unaltered in leaf {index} of the log of {note.size:,}."
    )
    if terminal != GATEWAY:
        report.open.append("Whose key signed the batch: that needs the directory, so an export.")
    report.open.append("What the event claims, a card's signature above all: likewise.")
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
    if not re.fullmatch(r"[0-9a-f]{64}", chosen.root):
        parser.error("--root is SHA-256 of the root's key: 64 lower-case hex digits")
    return chosen


def main(argv: list[str] | None = None) -> int:
    """Verify; print the findings; return the exit status of §10."""
    try:
        chosen = arguments(argv)
    except SystemExit as leave:  # argparse has said why, or has helped
        return 2 if leave.code else 0
    facts: dict[str, object]
    try:
        report = verify_proof(chosen) if chosen.proof else verify_export(chosen)
        lists = {"proven": report.proven, "not_proven": report.open}
        status, facts = 0, {"verdict": "proven", **report.facts, **lists}
        words = "\n  - ".join(("Proven:", *report.proven))
        words += "\n  - ".join(("\nNot proven:", *report.open))
    except Refused as no:
        status, words = 1, f"REFUSED: {no}"
        facts = {"verdict": "refused", "what": no.what, "where": no.where, "means": no.means}
    except (Unreadable, OSError) as fault:
        status, words = 2, f"CANNOT BE READ: {fault}"
        facts = {"verdict": "unreadable", "what": str(fault)}
    print(json.dumps(facts, indent=2) if chosen.json else words)
    return status


if __name__ == "__main__":
    sys.exit(main())
