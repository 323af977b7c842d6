"""tapover-verify: checks a site's evidence for somebody who trusts nobody.

Written from docs/evidence.md alone; § is a section of that page, and where it leaves a choice the
stricter reading was taken. No network and no clock is asked. The rules, in the order of checking:

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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace as Shape
from typing import BinaryIO, Final, TypeVar

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

T = TypeVar("T")
Fields = dict[str, object]
Version = tuple[int, int]  # of the directory: (key epoch, n)
Public = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey

TILE: Final = 256  # hashes in a full tile, leaves in a full bundle (C2SP tlog-tiles)
MAX_ENVELOPE: Final = 65_535  # §1; also what a 16-bit length can say
MAX_EVENT: Final = 4_096  # §7
MAX_NOTE: Final = 65_536  # three lines and some hundred witnesses
MAX_BODY: Final = 1 << 20  # for what the page does not cap: a directory entry, a single proof
MAX_INTEGER: Final = (1 << 53) - 1  # I-JSON
RSA_EXPONENT: Final = 65_537  # the least that PIV cards use; with a tiny one anybody could sign
LAST_SECOND: Final = 253_402_300_799  # of the year 9999
VERSION: Final = "version {}.{}"
PROGRESS: Final = 25_000  # leaves or events between two words on stderr

P256: Final = "ecdsa-p256-sha256"
ED25519: Final = "ed25519"
GATEWAY: Final = "gateway"
PURPOSES: Final = {"tap": "tap", "pin": "PIN proof", "countersign": "countersign", "move": "move"}
PURPOSES["downtime"] = "downtime declaration"
SIGN_ONS: Final = frozenset(("opened", "resumed"))
SHOWN: Final = SIGN_ONS | {"unlocked"}
NOBODY: Final = "unidentified"
CLAIMS: Final = (
    SIGN_ONS
    | {"closed-by-tap", "parked-by-tap", "still-you", "woken"}
    | {"proved", "countersigned", "joined"}
)
UNDER_A_TEXT: Final = {"countersign": ("proved", "countersigned"), "downtime": ("proved",)}
DIRECTORY: Final = ("batch", "change-request", "directory-change", "directory-manifest")
UNREAD: Final = (
    *(
        "root-succession",
        "restoration",
        "change-set",
        "approval",
        "grant",
        "enrolment-request",
        "enrolment",
    ),
    *("restoration", "escrows", "spare-assignment", "puk-request", "puk-release", "puk-report"),
    *("emergency", "downtime"),
)
ASKING: Final = ("change-request", "spare-assignment")  # what a directory change may follow from
ENTRIES: Final = ("entitlement", "terminal", "policy", "spare", "removed")

# The page's records (§4 to §7, §9), fields that must be there. `?`: or null; `*`: a list; `|`: or.
SHAPES: Final = {
    "keys": "site:text epoch:number issued_ms:number root:base64 statement_key:base64 log:any"
    " terminal_ca:any operator_ca:any card_ca:any",
    "log": "epoch:number key:base64 first:any",
    "restoration": "site:text root:base64 epoch:number log_epoch:number restored:holds last:holds",
    "root-succession": "site:text root:base64 next:base64 epoch:number issued_ms:number",
    "version": "epoch:number n:number",
    "directory-change": "site:text version:version previous:hex? request:hex? issued_ms:number"
    " entries:hex*",
    "directory-manifest": "version:version head:hex",
    "entitlement": "guid:hex16 holder:text name:any credentials:credential* positions:any"
    " status:active|suspended|revoked|lost not_before_ms:any not_after_ms:any salt:hex16",
    "credential": f"slot:9A|9E algorithm:{P256}|rsa2048-pkcs1-sha256 key:base64 pin_gated:bool",
    "terminal": "terminal:text ward:text batch_key:base64 state:active|retired salt:hex16",
    "policy": "ward:text",
    "spare": "guid:hex16 credentials:credential* status:active|suspended|revoked|lost salt:hex16",
    "removed": "kind:entitlement|terminal|policy|spare id:text salt:hex16",
    "batch": "terminal:text journal:hex16 first:number previous:hex events:hex* holds:holds?",
    "holds": "epoch:number size:number root:hex",
    "event": "type:tapover/event/v1| terminal:text journal:hex16 sequence:number boot:text"
    " monotonic_ms:number wall_ms:integer clock:site|rtc|unconfirmed salt:hex16 detail:any",
    "journal.opened": "software:text previous_journal:hex16? previous_next:number?"
    " previous_head:hex?",
    "heartbeat.held": "envelope:base64",
    "heartbeat": "site:text version:version head:hex? issued_ms:number checkpoint:any nonce:any",
    "card.record": "record:record",
    "record": "guid:hex16 previous:hex directory:version heartbeat:hex? nonce:hex"
    " purpose:tap|pin|countersign|move|downtime",
    "card.outcome": "record:number? guid:hex16? result:text reason:text? key:hex? algorithm:text?"
    " signature:base64? holder:text? position:text? session:text?",
    "session.changed": "session:text holder:text? position:text? change:text cause:any",
    "break-glass.opened": "session:text position:text holder:text? guid:hex16? record:number?"
    " proof:card-proof?",
    "break-glass.heard": "terminal:text session:text",
    "card-proof": "event:base64 key:hex algorithm:text signature:base64",
    "bodies.deleted": "rule:text journal:hex16 first:number count:number",
    "proof": "type:tapover/proof/v1| event:base64 batch:base64 leaf:number inclusion:base64*"
    " checkpoint:text keys:base64",
}

ENVELOPE: Final = re.compile(
    rb'\{"payloadType":"application/vnd\.tapover\.([a-z-]+)\.v1\+json",'
    rb'"payload":"([A-Za-z0-9+/=]+)",'
    rb'"signatures":\[\{"keyid":"([0-9a-f]{64})","sig":"([A-Za-z0-9+/=]+)"\}\]\}'
)
KEYS_PREFIX: Final = b'{"payloadType":"application/vnd.tapover.keys.v1+json"'
ROOT_PREFIX: Final = KEYS_PREFIX.replace(b"keys", b"root-succession")
LOSS_PREFIX: Final = KEYS_PREFIX.replace(b"keys", b"restoration")
HEX: Final = re.compile(r"(?:[0-9a-f]{2})+")
SIGNATURE_LINE: Final = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/=]+)")

ALTERED: Final = "The export was altered or damaged after the site made it, or never was whole."
FORGED: Final = "Somebody without the key made this, or it was altered after signing."
MALFORMED: Final = "No program that follows the evidence page writes this."
LEFT_OUT: Final = "It was left out or altered, and no deletion event accounts for it."
KEPT: Final = "The gateway says that it deleted this body, and it did not."
NOT_THERE: Final = "Nothing shows that this card was there: the record may be invented."


class Refused(Exception):
    """Something in the evidence does not hold: what, where, and what that means."""

    def __init__(self, what: str, means: str = "", where: str = "") -> None:
        super().__init__(what)
        self.what, self.means, self.where = what, means, where


def need(holds: object, what: str, means: str = "", where: str = "") -> None:
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
    """Untrusted text, fit for any screen: short, ASCII, and nothing that steers a terminal."""
    printable = "".join(letter if " " <= letter <= "~" else "?" for letter in text[:100])
    return printable + ("..." if len(text) > len(printable) else "")


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


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def one_base64(text: str) -> bytes:
    """Standard base64 in its one spelling: decoded, encoded again, compared."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError as fault:
        raise Refused("base64 that cannot be decoded") from fault
    need(base64.b64encode(data).decode() == text, "base64 that is not in its one spelling")
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


def parse(data: bytes) -> Fields:
    try:
        value: object = _JSON.decode(text := data.decode("utf-8"))
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode("utf-8")  # half a surrogate pair?
    except (ValueError, RecursionError) as fault:
        raise Refused("bytes that are no I-JSON") from fault
    return typed(value, dict, "the JSON")


def number_of(value: object, what: str) -> int:
    need((number := typed(value, int, what)) >= 0, f"{what} is below zero")
    return number


READERS: Final[dict[str, Callable[[object, str], object]]] = {
    "any": lambda value, _: value,
    "base64": lambda value, what: one_base64(typed(value, str, what)),
    "bool": lambda value, what: typed(value, bool, what),
    "hex": lambda value, what: one_hex(typed(value, str, what)),
    "hex16": lambda value, what: one_hex(typed(value, str, what), 16),
    "integer": lambda value, what: typed(value, int, what),
    "number": number_of,
    "text": lambda value, what: typed(value, str, what),
    "version": lambda value, _: tuple(vars(read("version", value)).values()),
}


def read(shape: str, value: object, _what: str = "") -> Shape:
    """The fields that SHAPES names; refused if one is missing or of another kind."""
    fields, found = typed(value, dict, f"the {shape}"), Shape()
    for name, _, kind in (word.partition(":") for word in SHAPES[shape].split()):
        need(name in fields, f"the field {name!r} is missing")
        one, what, base = fields[name], f"the field {name!r}", kind.rstrip("?*")
        reader = READERS.get(base) or functools.partial(read, base)
        if "|" in kind:
            need(one in kind.split("|") and one, f"{what} is {shown(repr(one))}, not {kind}")
        elif kind.endswith("*"):
            one = [reader(item, what) for item in typed(one, list, what)]
        elif one is not None or not kind.endswith("?"):
            one = reader(one, what)
        setattr(found, name, one)
    return found


@dataclass(frozen=True, slots=True)
class Key:
    """A public key (§1). `id` is hex H(SPKI)."""

    id: str
    public: Public

    def signed(self, signature: bytes, message: bytes) -> bool:
        try:
            if isinstance(self.public, ec.EllipticCurvePublicKey):
                again = utils.encode_dss_signature(*utils.decode_dss_signature(signature))
                self.public.verify(again, message, ec.ECDSA(hashes.SHA256()))
                return again == signature  # DER in its one encoding
            if isinstance(self.public, rsa.RSAPublicKey):
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


def check(envelope: Shape, key: Key, whose: str) -> None:
    """The envelope's signature is by this key (DSSE, §1)."""
    name, size = f"application/vnd.tapover.{envelope.kind}.v1+json", len(envelope.payload)
    message = f"DSSEv1 {len(name)} {name} {size} ".encode() + envelope.payload
    need(envelope.keyid == key.id, f"a {envelope.kind} that names another key than {whose}", FORGED)
    holds = key.signed(envelope.signature, message)
    need(holds, f"a {envelope.kind} whose signature by {whose} fails", FORGED)


def read_envelope(line: bytes, *kinds: str) -> Shape:
    """A signed statement of one of these kinds, its form checked, its signature not yet."""
    found = ENVELOPE.fullmatch(line)
    if found is None or len(line) > MAX_ENVELOPE:
        raise Refused("bytes that are no envelope in its one spelling")
    kind = found[1].decode()
    need(kind in kinds, f"a statement of kind {shown(kind)!r}, which does not belong here")
    fields = parse(payload := one_base64(found[2].decode()))
    need(fields.get("type") == f"tapover/{kind}/v1", f"a {kind} whose payload says another type")
    signature, signer = one_base64(found[4].decode()), found[3].decode()
    signed = {"keyid": signer, "signature": signature, "payload": payload}
    return Shape(kind=kind, digest=sha256(line), fields=fields, **signed)


class Tree:
    """`levels[k]` holds the hashes of the complete subtrees of 2^k leaves, from the left (§2)."""

    def __init__(self) -> None:
        self.levels: defaultdict[int, list[bytes]] = defaultdict(list)

    def append(self, leaf: bytes) -> None:
        self.levels[0].append(sha256(b"\x00", leaf))
        level = 0
        while len(self.levels[level]) % 2 == 0:
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


def check_note(note: Shape, keys: Shape, *, alone: bool) -> None:
    """Its signature by the log's key; `alone`: every byte must be covered by it."""
    need(note.origin == keys.origin, f"a checkpoint of another log than {keys.origin}", FORGED)
    hint = keys.note_hash
    ours = [one for name, one in note.signatures if name == keys.origin and one[:4] == hint]
    holds = len(ours) == 1 and keys.log.signed(ours[0][4:], note.signed)
    need(holds, "a checkpoint whose signature by the log's key fails", FORGED)
    means = "Nothing covers them. If they are witnesses', --allow-witnesses passes over them."
    only = len(note.signatures) == 1 or not alone
    need(only, "signature lines that are not the log's own", means)


def read_note(data: bytes) -> Shape:
    """A checkpoint (§2), its form checked; `signatures` are (name, key hash ‖ signature)."""
    text, blank, tail = data.decode("utf-8", "replace").partition("\n\n")
    origin, size, root, *more = [*text.split("\n"), "", ""]
    whole = blank and more == ["", ""] and tail.endswith("\n")
    need(whole, "a checkpoint that is not three lines, a blank one and signatures")
    plain = size.isascii() and size.isdigit() and str(int(size[:15])) == size
    need(plain, "a checkpoint whose size is no plain number")
    need(len(value := one_base64(root)) == len(sha256()), "a checkpoint whose root is no SHA-256")
    signatures = []
    for line in tail[:-1].split("\n"):
        if (found := SIGNATURE_LINE.fullmatch(line)) is None:
            raise Refused("a checkpoint with a line that is no signature")
        signatures.append((found[1], one_base64(found[2])))
    note = {"origin": origin, "size": int(size), "root": value, "signatures": signatures}
    return Shape(signed=f"{text}\n".encode(), **note)


def tiles(size: int) -> Iterator[tuple[str, int, int, int]]:
    """(path, level, first, width) of every tile (§3); level -1 are the bundles of leaves."""
    level = -1
    while count := size // TILE ** max(level, 0):
        for first in range(0, count, TILE):
            number, width = first // TILE, min(TILE, count - first)
            path = f"{number % 1000:03}" + ("" if width == TILE else f".p/{width}")
            while number := number // 1000:
                path = f"x{number % 1000:03}/{path}"
            yield f"tile/{'entries' if level < 0 else level}/{path}", level, first, width
        level += 1


def walk(folder: Path) -> set[str]:
    found = set()
    for path in folder.rglob("*"):
        name, mode = path.relative_to(folder).as_posix(), path.lstat().st_mode
        plain = stat.S_ISDIR(mode) or stat.S_ISREG(mode)
        need(plain, "something that is neither file nor folder", ALTERED, shown(name))
        found.add(name + "/" if stat.S_ISDIR(mode) else name)
    if not found & {"checkpoint", "bodies"}:
        raise OSError(f"{folder} is no export: neither `checkpoint` nor `bodies` is in it")
    for name in ("checkpoint", "bodies"):
        need(name in found, "a file is missing", ALTERED, name)
    return found


def check_layout(found: set[str], size: int) -> None:
    """Exactly the files that a log of this size has (§3). Stops at the first that is missing."""
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


def read_keys(line: bytes, leaf: int, fingerprint: str) -> Shape:
    """A key statement (§4): the keys in force from the leaf after `leaf` on."""
    keys = read("keys", (envelope := read_envelope(line, "keys")).fields)
    log = read("log", keys.log)
    means = "This is another site's evidence, or somebody made up a site of the same name."
    named = sha256(keys.root).hex() == fingerprint
    need(named, "a root that is not the one that you named", means)
    check(envelope, read_key(keys.root, P256), "the site's root")
    keys.leaf, keys.log_epoch, keys.first = leaf, log.epoch, log.first
    keys.statement, keys.log = read_key(keys.statement_key, P256), read_key(log.key, ED25519)
    raw = serialization.Encoding.Raw, serialization.PublicFormat.Raw
    keys.origin = f"tapover.{shown(keys.site)}/log/{log.epoch}"
    keys.note_hash = sha256(keys.origin.encode(), b"\n\x01", keys.log.public.public_bytes(*raw))[:4]
    return keys


def read_root(line: bytes, fingerprint: str, site: str) -> str:
    """The fingerprint of the root that this one (§4) declares to follow it."""
    envelope = read_envelope(line, kind := "root-succession")
    declared = read(kind, envelope.fields)
    need(sha256(declared.root).hex() == fingerprint, "a root declared by another than the last")
    check(envelope, read_key(declared.root, P256), "the site's root")
    need(declared.site == site, "a root declared for another site")
    return read_key(declared.next, P256).id


def read_loss(line: bytes, leaf: int, fingerprint: str, before: Shape, roots: set[int]) -> Shape:
    """A restoration (§4): the root's word on where a log goes on, and what is missing of it."""
    loss = read("restoration", (envelope := read_envelope(line, "restoration")).fields)
    need(sha256(loss.root).hex() == fingerprint, "a restoration declared by another than the root")
    check(envelope, read_key(loss.root, P256), "the site's root")
    restored, last, epoch = loss.restored, loss.last, before.log_epoch
    said = (loss.site, restored.epoch, last.epoch, loss.log_epoch)
    fits = said == (before.site, epoch, epoch, epoch + 1) and restored.size <= last.size
    fits = fits and (restored.size < last.size or restored.root == last.root)
    need(fits, "a restoration of another site or log epoch, or of more than was known")
    right = restored.size <= leaf and roots.issuperset(range(restored.size, leaf))
    need(right, f"a restoration of {restored.size:,} leaves that does not follow them")
    loss.leaf, loss.origin = leaf, before.origin
    return loss


def check_succession(new: Shape, before: Shape, losses: list[Shape]) -> None:
    """A later key statement (§4): of the same log, or the next epoch of it that the root opens."""
    need(new.epoch > before.epoch, "an epoch that is not a higher one")
    log_epoch = before.log_epoch
    if losses and losses[-1].leaf > before.leaf:
        log_epoch, loss = losses[-1].log_epoch, losses[-1]
        said, right = (new.leaf, new.epoch, new.first), (loss.leaf + 1, loss.epoch)
        need(said == (*right, loss.last.root.hex()), "a key statement that its restoration denies")
    same = (new.site, new.log_epoch) == (before.site, log_epoch)
    need(same, "a key statement of another site or log epoch than the one before")


def in_force(history: list[Shape], leaf: int) -> Shape:
    """The keys in force at `leaf` (for a checkpoint: its size)."""
    return next((keys for keys in reversed(history) if keys.leaf < leaf), history[0])


@dataclass(slots=True)
class Journal:
    """One chain. `chain[i]` is the value before sequence i; `deleted` names rules by sequence."""

    id: str
    terminal: str
    chain: list[bytes]
    events: list[bytes] = field(default_factory=list)
    batches: list[tuple[int, int]] = field(default_factory=list)  # (first sequence, leaf)
    missing: set[int] = field(default_factory=set)
    deleted: dict[int, str] = field(default_factory=dict)

    def leaf_of(self, sequence: int) -> int:
        return self.batches[bisect_right(self.batches, (sequence, MAX_INTEGER)) - 1][1]

    def place(self, sequence: int) -> str:
        where = f"sequence {sequence} (leaf {self.leaf_of(sequence)})"
        return f"terminal {shown(self.terminal)}, journal {self.id}, {where}"


def new_journal(journal_id: bytes, terminal: str) -> Journal:
    return Journal(journal_id.hex(), terminal, [sha256(b"tapover:journal:v1\n", journal_id)])


class Log:
    """The log, leaf by leaf (§5, §6): what each statement says, in their order."""

    def __init__(self, keys: list[Shape], losses: list[Shape], tree: Tree, bodies: Bodies) -> None:
        self.keys, self.losses, self.tree, self.bodies = keys, losses, tree, bodies
        self.journals: dict[str, Journal] = {}
        self.kinds: Counter[str] = Counter()
        self.again: Counter[int] = Counter()  # batches after a loss, by the log epoch of `holds`
        self.versions: list[tuple[Version, bytes]] = []  # with the digest of the change
        self.known: dict[Version, tuple[int, int]] = {}  # ordinal and leaf
        self.requests: set[bytes | None] = {None}
        self.cards: defaultdict[bytes, list[tuple[int, bytes]]] = defaultdict(list)  # body or b""
        self.batch_keys: defaultdict[str, dict[str, Key]] = defaultdict(dict)

    def take(self, leaf: int, line: bytes) -> None:
        envelope, keys = read_envelope(line, "keys", *DIRECTORY, *UNREAD), in_force(self.keys, leaf)
        self.kinds[envelope.kind] += 1
        if envelope.kind in ASKING:
            self.requests.add(envelope.digest)
        elif envelope.kind == "batch":
            batch = read("batch", envelope.fields)
            where = f"terminal {shown(batch.terminal)}, journal {batch.journal.hex()}"
            with at(f"leaf {leaf}, {where}"):
                self._batch(envelope, batch, leaf)
        elif envelope.kind == "downtime":
            check(envelope, keys.statement, "the site's statement key")
        elif envelope.kind.startswith("directory-"):
            check(envelope, keys.statement, "the site's statement key")
            statement = read(envelope.kind, envelope.fields)
            if envelope.kind == "directory-change":
                need(statement.site == keys.site, "a directory change of another site")
                self._change(statement, envelope.digest, leaf)
            what = f"a manifest of {VERSION.format(*statement.version)}, which no earlier leaf made"
            need(statement.version in self.known, what)
            if envelope.kind == "directory-manifest":
                self.check_head(statement, "a manifest")

    def _change(self, change: Shape, digest: bytes, leaf: int) -> None:
        version: Version = change.version
        (epoch, n), head = self.versions[-1] if self.versions else ((version[0], 0), None)
        follows = version == (epoch, n + 1) or (version[0] > epoch and version[1] == 1)
        means = "A change is missing, out of order, or belongs to another directory."
        follows = follows and change.previous == head
        need(follows, "a directory change that does not follow", means)
        asked = change.request in self.requests
        need(asked, "a directory change whose request is no earlier leaf", "Nobody asked for it.")
        self.known[version] = (len(self.versions), leaf)
        self.versions.append((version, digest))
        for number, name in enumerate(change.entries, 1):
            with at(f"leaf {leaf} (directory {VERSION.format(*version)}), entry {number}"):
                self.bodies.named.add(name)
                body = self.bodies.get(name)
                need(body, "a directory entry whose body is not in the export", ALTERED)
                self._entry(parse(body or b""), name)

    def _entry(self, fields: Fields, name: bytes) -> None:
        kind = next((one for one in ENTRIES if fields.get("type") == f"tapover/{one}/v1"), None)
        if kind is None:
            raise Refused("a directory entry of an unknown type")
        entry, ordinal = read(kind, fields), len(self.versions) - 1
        if kind in ("entitlement", "spare"):
            for one in entry.credentials:
                read_key(one.key, one.algorithm)
            self.cards[entry.guid].append((ordinal, name))
        elif kind == "terminal":
            key = read_key(entry.batch_key, P256)
            self.batch_keys[entry.terminal][key.id] = key
        elif kind == "removed" and entry.kind == "entitlement":
            self.cards[one_hex(entry.id, 16)].append((ordinal, b""))

    def check_head(self, shown_to: Shape, whose: str) -> None:
        """A head that somebody was shown is the change of the log, where the log has it."""
        if (version := shown_to.version) in self.known:
            means = "Somebody was shown another directory than the one in this log."
            same = shown_to.head == self.versions[self.known[version][0]][1]
            need(
                same,
                f"{whose} with another head for {VERSION.format(*version)} than the log",
                means,
            )

    def entitlement(self, guid: bytes, version: Version, leaf: int) -> bytes:
        """The body (its hash) under `guid` in a version that the log had before `leaf`, or b""."""
        ordinal, made = self.known.get(version) or self._before_loss(version, leaf) or (0, leaf)
        means = "Nothing shows which keys the site vouched for when this was recorded."
        need(
            made < leaf,
            f"a record under {VERSION.format(*version)}, which no earlier leaf made",
            means,
        )
        entries = self.cards.get(guid, [])
        newest = bisect_right(entries, ordinal, key=lambda entry: entry[0])
        return entries[newest - 1][1] if newest else b""

    def _before_loss(self, version: Version, leaf: int) -> tuple[int, int] | None:
        """Of a version that a restoration lost: the last one before that."""
        for loss in self.losses:
            kept = [one for one in self.known.items() if one[1][1] < loss.leaf < leaf]
            if kept and kept[-1][0] < version < (loss.epoch, 0):
                return kept[-1][1]
        return None

    def _batch(self, envelope: Shape, batch: Shape, leaf: int) -> None:
        keys = {envelope.keyid: in_force(self.keys, leaf).statement}
        if batch.terminal != GATEWAY:
            keys = self.batch_keys.get(batch.terminal, {})
        means = "Nothing shows that this terminal made it: the directory had no such key."
        need(envelope.keyid in keys, "a batch by a key that was not the terminal's", means)
        check(envelope, keys[envelope.keyid], "the terminal's batch key")
        fresh = new_journal(batch.journal, batch.terminal)
        journal = self.journals.setdefault(fresh.id, fresh)
        need(journal.terminal == batch.terminal, "a batch in another terminal's journal")
        first, delivered = batch.first, len(journal.events)
        means = "Events are missing or told twice, the journal forked, or batches are out of order."
        need(first == delivered, f"a batch from {first} where {delivered} comes next", means)
        means = "The terminal's chain went on from other events than the log holds: a fork."
        follows = batch.previous == journal.chain[-1]
        need(follows, f"a batch that does not continue the chain at sequence {first}", means)
        need(batch.events, "a batch without events")
        journal.batches.append((first, leaf))
        for event in batch.events:
            journal.events.append(event)
            journal.chain.append(sha256(journal.chain[-1], event))
            self.bodies.named.add(event)
        ours, holds = in_force(self.keys, leaf).log_epoch, batch.holds
        ends = {one.restored.epoch: one.restored.size for one in self.losses if one.leaf < leaf}
        self.again[holds.epoch if holds and ends else ours] += 1
        if holds and holds.epoch < ours and holds.size > ends.get(holds.epoch, 0):
            lost = "a declared loss" if holds.epoch in ends else "an earlier log epoch"
            self.kinds[f"holds of {lost}"] += 1
        elif holds:  # a checkpoint that the terminal had accepted: one of this very log
            means = "The terminal was shown another log: this one was rewritten, or there are two."
            earlier, size = holds.epoch <= ours and holds.size <= leaf, holds.size
            need(earlier, f"a batch that holds a checkpoint of {size:,} leaves from later", means)
            same = holds.root == self.tree.root(size)
            need(same, f"a batch that holds another root for the first {size:,} leaves", means)


@dataclass
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


def read_event(journal: Journal, sequence: int, data: bytes) -> Fields:
    """The event's detail, when the event is the one that stands at this place."""
    need(len(data) <= MAX_EVENT, f"an event of more than {MAX_EVENT:,} bytes")
    event = read("event", parse(data))
    said = (event.terminal, event.journal.hex(), event.sequence)
    same = said == (journal.terminal, journal.id, sequence)
    need(same, "an event that says another terminal, journal or sequence than its batch")
    return typed(event.detail, dict, "the detail")


class JournalCheck:
    """One journal's events in order (§7): each claim against what stands before it."""

    def __init__(self, log: Log, journal: Journal, tally: Tally, covered: int) -> None:
        self.log, self.journal, self.tally, self.covered = log, journal, tally, covered
        self.heartbeats: dict[bytes, int | None] = {}  # issued_ms; None: deleted
        self.records: dict[int, tuple[Shape, bytes]] = {}  # with the event's bytes
        self.served: set[int] = set()
        self.sign_ons: Counter[tuple[str | None, ...]] = Counter()
        self.opened, self.heard = set[tuple[str, str]](), set[tuple[str, str]]()  # break-glass
        self.glass: tuple[str, str | None] | None = None  # whose session was shown last
        self.aside: str | None = None  # who left it for another position of her own
        self.gone = 0  # missing bodies so far; each may be the one thing that is missed

    def event(self, sequence: int, digest: bytes) -> None:
        self.tally.events += 1
        if (body := self.log.bodies.get(digest)) is None:
            self.journal.missing.add(sequence)
            self.gone += 1
            return
        detail = read_event(self.journal, sequence, body)
        kind = typed(detail.get("kind"), str, "the kind of the event")
        right = (sequence == 0) == (kind == "journal.opened")
        need(right, "a journal that does not begin with journal.opened, or has a second one")
        if "." in kind and kind in SHAPES:
            name = kind.replace(".", "_").replace("-", "_")
            getattr(self, f"_{name}")(sequence, read(kind, detail), body)

    def check_missing(self) -> None:
        """What is missing was deleted, and what was deleted is missing."""
        for sequence in sorted(self.journal.missing ^ self.journal.deleted.keys()):
            what, means = "an event whose body is not in the export", LEFT_OUT
            if sequence in self.journal.deleted:
                what, means = "a body that was declared deleted is in the export", KEPT
            raise Refused(what, means, self.journal.place(sequence))
        self.tally.deleted.update(self.journal.deleted.values())

    def _missed(self, doubt: str, what: str, means: str) -> None:
        """Something that must stand earlier does not: at most it was deleted, one for each."""
        need(self.gone, what, means)
        self.gone -= 1
        self.tally.doubts[doubt] += 1

    def _journal_opened(self, _sequence: int, opened: Shape, _: bytes) -> None:
        named = [opened.previous_journal, opened.previous_next, opened.previous_head]
        if named == [None] * 3:
            self.tally.doubts["opened"] += 1
            return
        need(None not in named, "a journal.opened that names its predecessor by half")
        previous, known, head, own = *named, self.journal
        before = self.log.journals.get(previous.hex()) or new_journal(previous, own.terminal)
        right = before.terminal == own.terminal and before.id != own.id
        need(right, "a journal that names itself or another terminal's as its predecessor")
        missing = known - len(before.events)
        means = "The earlier journal in the log is not the one that the terminal wrote."
        right = missing > 0 or before.chain[known] == head
        need(right, "a journal whose predecessor had another head", means)
        if missing > 0:
            gap = f"journal {before.id} had at least {plural(known, 'event')}"
            self.tally.gaps.append(f"{gap}, of which {missing:,} were never delivered")

    def _heartbeat_held(self, sequence: int, held: Shape, _: bytes) -> None:
        envelope, leaf = read_envelope(held.envelope, "heartbeat"), self.journal.leaf_of(sequence)
        known = [one.statement for one in self.log.keys if one.leaf < leaf]
        ours = [one for one in known if one.id == envelope.keyid]
        need(ours, "a heartbeat by a key that is not the site's", FORGED)
        check(envelope, ours[0], "the site's statement key")
        heartbeat = read("heartbeat", envelope.fields)
        need(heartbeat.site == self.log.keys[0].site, "a heartbeat of another site")
        self.log.check_head(heartbeat, "a heartbeat")
        self.heartbeats[envelope.digest] = heartbeat.issued_ms

    def _card_record(self, sequence: int, detail: Shape, body: bytes) -> None:
        record = detail.record
        means = "The card may have signed this at another place in the journal, or in another."
        same = record.previous == self.journal.chain[sequence]
        need(same, "a card record that names another chain value than its place has", means)
        if record.heartbeat and record.heartbeat not in self.heartbeats:
            means = "Its lower bound in time has nothing behind it."
            self._missed("bound", "a card record whose heartbeat was not held before", means)
            self.heartbeats[record.heartbeat] = None
        self.records[sequence] = (record, sha256(body))

    def _card_outcome(self, sequence: int, outcome: Shape, _: bytes) -> None:
        number, result, claim = outcome.record, outcome.result, outcome.result in CLAIMS
        record, event = self.records.get(number, (None, b""))
        if number is not None:
            known = record or number in self.journal.missing
            need(known, f"an outcome of {number}, which is no card record", NOT_THERE)
            same = not record or record.guid == outcome.guid
            need(same, "an outcome for another card than its record", NOT_THERE)
        if claim:
            whole = None not in (number, outcome.key, outcome.signature)
            need(whole, f"{result!r} without a card's signature", NOT_THERE)
            need(number not in self.served, f"{result!r} by a record that served", NOT_THERE)
            self.served.add(number)
        if outcome.signature is not None and (claim or outcome.reason != "card-key-wrong"):
            need(number is not None, "a card's signature over no record", NOT_THERE)
            if record:
                signed = self.log.bodies.get(event) or b""
                self._signature(self.journal.leaf_of(sequence), outcome, record, signed)
            else:
                self.tally.doubts["signature"] += 1
        self.sign_ons[result, outcome.session, outcome.holder, outcome.position] += 1

    def _signature(self, leaf: int, outcome: Shape, record: Shape, event: bytes) -> None:
        """It is by a key of this card in the version that the record names, over that record."""
        body = self.log.bodies.get(self.log.entitlement(record.guid, record.directory, leaf))
        kind = "spare" if body and b'"type":"tapover/spare/v1"' in body else "entitlement"
        entitled = read(kind, parse(body)) if body else Shape(credentials=[])
        keys = [one for one in entitled.credentials if sha256(one.key) == outcome.key]
        text = record.purpose in UNDER_A_TEXT
        under = outcome.result in UNDER_A_TEXT.get(record.purpose, ())
        means = "The card signed a text, and is said to have done something else."
        need(under or not text or outcome.result not in CLAIMS, "a countersign that served", means)
        signs = record.purpose == "countersign" or outcome.result != "countersigned"
        need(signs, "countersigned without a text", NOT_THERE)
        pin = record.purpose == "pin" or (text and outcome.result == "proved")
        used = [one for one in keys if one.slot == "9A" or not pin]
        right = used and used[0].algorithm == outcome.algorithm
        if record.directory not in self.log.known:
            known = right and outcome.holder == entitled.holder
            self.tally.doubts["restored" if known else "lost"] += 1
            if not known:
                return
        version = VERSION.format(*record.directory)
        need(right, f"a signature by a key that was not this card's in {version}", NOT_THERE)
        means = "The tap is written down for somebody else than the card's holder."
        same = kind == "spare" or outcome.holder == entitled.holder
        need(same, "an outcome for another holder than the directory's", means)
        message = b"tapover:card:v1\n" + event
        holds = read_key(used[0].key, outcome.algorithm).signed(outcome.signature, message)
        need(holds, "a card's signature that does not hold", NOT_THERE)
        if outcome.result in CLAIMS:
            tally = self.tally
            tally.signed[record.purpose] += 1
            tally.covered += leaf < self.covered
            tally.doubts["inactive"] += entitled.status != "active"
            tally.doubts["pin"] += pin and (len(keys) > 1 or not used[0].pin_gated)
            tally.doubts["spare"] += kind == "spare" and outcome.holder is not None
            tally.doubts["time"] += record.heartbeat is None
            if (issued := self.heartbeats.get(record.heartbeat)) is not None:
                bounds = [*tally.not_before, issued]
                tally.not_before = [min(bounds), max(bounds)]

    def _break_glass_opened(self, sequence: int, opened: Shape, _: bytes) -> None:
        """In nobody's name, by a record of this journal, or by one that no journal holds."""
        self.tally.doubts["glass"] += 1
        self.opened.add((self.journal.terminal, opened.session))
        holder, proof = opened.holder or NOBODY, opened.proof
        if opened.holder is None:
            self.tally.doubts["nobody"] += 1
        elif proof is None:
            need(opened.record is not None, "break-glass in a name that no card proves", NOT_THERE)
            return  # an outcome follows, as at any sign-on
        else:
            event = read("event", parse(proof.event))
            detail = typed(event.detail, dict, "the detail")
            record = read("card.record", detail).record
            said = (event.terminal, detail.get("kind"), record.purpose, record.guid)
            right = said == (self.journal.terminal, "card.record", "tap", opened.guid)
            need(right, "break-glass by another card's record, or another terminal's", NOT_THERE)
            facts = {"key": proof.key, "algorithm": proof.algorithm, "holder": holder}
            outcome = Shape(**facts, signature=proof.signature, result="opened")
            leaf = self.journal.leaf_of(sequence)
            self._signature(leaf, outcome, record, proof.event)
            self.tally.doubts["detached"] += 1
        for change in SIGN_ONS:
            self.sign_ons[change, opened.session, holder, opened.position] += 1

    def _break_glass_heard(self, _sequence: int, heard: Shape, _: bytes) -> None:
        self.heard.add((heard.terminal, heard.session))

    def _session_changed(self, _sequence: int, session: Shape, _: bytes) -> None:
        who, own = (session.session, session.holder), session.cause == "position"
        if (change := session.change) in SIGN_ONS:
            sign_on = (change, session.session, session.holder, session.position)
            what = f"a session {change} without a card outcome of its own"
            if self.sign_ons[sign_on]:
                self.sign_ons[sign_on] -= 1
            elif not own or self.aside is None or self.aside != session.holder:
                self._missed("session", what, "Somebody's session was shown without that card.")
        if change in SHOWN:
            self.glass, self.aside = who, None
        elif self.glass == who:
            self.glass, self.aside = None, session.holder if own and change == "parked" else None

    def _bodies_deleted(self, sequence: int, deletion: Shape, _: bytes) -> None:
        need(self.journal.terminal == GATEWAY, "bodies.deleted outside the gateway's own journal")
        target = self.log.journals.get(deletion.journal.hex()) or new_journal(b"", "")
        gone, leaf = range(deletion.first, deletion.first + deletion.count), self.journal.leaf_of
        later = (start for start, where in target.batches if where >= leaf(sequence))
        held = sequence if target is self.journal else next(later, len(target.events))
        right = gone and gone.stop <= held and target.deleted.keys().isdisjoint(gone)
        need(right, "a deletion of events that the log did not hold before it, or told twice")
        target.deleted |= dict.fromkeys(gone, deletion.rule)


def check_events(log: Log, covered: int) -> dict[str, Tally]:
    tallies, checks = defaultdict[str, Tally](Tally), list[JournalCheck]()
    total, done = sum(len(one.events) for one in log.journals.values()), 0
    for journal in log.journals.values():
        checks.append(JournalCheck(log, journal, tallies[journal.terminal], covered))
        checks[-1].tally.journals += 1
        for sequence, digest in enumerate(journal.events):
            with at(journal.place(sequence)):
                checks[-1].event(sequence, digest)
            progress(done := done + 1, total, "events")
    for check in checks:
        check.check_missing()
    heard = {one for check in checks for one in check.heard}
    for terminal, _ in heard - {one for check in checks for one in check.opened}:
        tallies[terminal].doubts["heard"] += 1
    return dict(sorted(tallies.items()))


DOUBTS: Final = {
    "signature": "whose record was deleted: the card's signature can no longer be checked",
    "session": "to have signed on in a body that was deleted: it can no longer be checked",
    "bound": "whose heartbeat was deleted: the bound *not before* can no longer be checked",
    "restored": "under a lost directory version: checked against the last one before the loss",
    "lost": "under a lost directory version, by a card unknown before: it cannot be checked",
    "time": "without a heartbeat: nothing shows *not before*",
    "pin": "by a key that was not seen to need the PIN: the card is proven, the PIN is not",
    "spare": "with a spare that the directory gave nobody yet: whose it was is a ward lead's word",
    "glass": "to break-glass: a right of the ward's, not of the card's holder",
    "nobody": "to break-glass in nobody's name: no card proves who it was",
    "heard": "to break-glass by another terminal's word alone: no event of its own tells of it",
    "detached": "to break-glass by a tap that no journal could record: its place is not proven",
    "inactive": "with a card that was suspended, revoked or lost in the directory: look there",
}
CLOSING: Final = (
    "Events that a terminal had not yet delivered.",
    "That the holder herself held the card: a lent card signs too; a PIN proof says more.",
    "That a key in the directory is on the named person's card: that is the site's word.",
    "Who signed change requests and enrolments: their keys are not in the log.",
    "Idle, lock and timing events, and wall times: the terminal's word alone.",
)


def describe(name: str, tally: Tally, report: Shape) -> None:
    who = "The gateway's own journal" if name == GATEWAY else f"Terminal {shown(name)}"
    said = f"{who}: {plural(tally.events, 'event')} in {plural(tally.journals, 'journal')}, "
    said += "complete from the first to the last one delivered, unaltered, in this order"
    counts = [plural(tally.signed[one], PURPOSES[one]) for one in PURPOSES if tally.signed[one]]
    if counts:
        said += f"; {', '.join(counts)}, each signed by the cardholder's own card"
    if tally.not_before:
        seconds = [min(ms // 1000, LAST_SECOND) for ms in tally.not_before]
        first, last = (datetime.fromtimestamp(second, UTC) for second in seconds)
        said += f", none before {first:%F %T} UTC, the newest not before {last:%F %T} UTC"
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


def describe_loss(log: Log, loss: Shape, report: Shape) -> dict[str, int]:
    epoch, size, last = loss.restored.epoch, loss.restored.size, loss.last.size
    said = f"Log epoch {epoch} ended with {plural(size, 'leaf', 'leaves')}: the gateway came back"
    report.proven.append(f"{said} from a back-up, and the root declared so in leaf {loss.leaf:,}.")
    said = "what it held beyond, nobody is known to have a checkpoint of"
    if last > size:
        said = f"leaves {size:,} to {last - 1:,} that its last known checkpoint had are missing"
    came = plural(log.again[epoch], "batch", "batches")
    report.open.append(f"Log epoch {epoch}: {said}; {came} made before came again after it.")
    held = log.kinds["holds of a declared loss"]
    return {"epoch": epoch, "restored": size, "last_known": last, "held_beyond": held}


def describe_log(log: Log, size: int, tallies: dict[str, Tally], own: Shape | None) -> Shape:
    keys = in_force(log.keys, size)
    facts = {"site": keys.site, "origin": keys.origin, "size": size, "leaves": log.kinds}
    facts["terminals"] = {name: vars(tally) for name, tally in tallies.items()}
    report = Shape(facts=facts, proven=[], open=[])
    said = f"Site {shown(keys.site)}: the log of {plural(size, 'statement')} ({keys.origin}) is"
    said += " whole; its keys are your root's, and the log's key signed its checkpoint."
    report.proven.append(said)
    newest = f", the newest {VERSION.format(*log.versions[-1][0])}" if log.versions else ""
    said = f"{plural(len(log.versions), 'directory change')}, one chain{newest}: every version."
    report.proven.append(said)
    if count := log.kinds["downtime"]:
        report.proven.append(f"{plural(count, 'statement')} of the site: a ward may go on alone.")
    for name, tally in tallies.items():
        describe(name, tally, report)
    facts["losses"] = [describe_loss(log, loss, report) for loss in log.losses]
    if own is None:
        report.open.append("That others see the same log: you brought no checkpoint of your own.")
    elif own.loss:
        said = f"Your own checkpoint had {plural(own.size, 'leaf', 'leaves')} of log epoch"
        said += f" {own.loss.restored.epoch}: it covers a declared loss, from leaf"
        said += (
            f" {own.loss.restored.size:,} on; that the leaves before are the same, your root says."
        )
        if own.size > own.loss.last.size:
            said += " The root knew of fewer leaves than you: more is missing than was declared."
        report.open.append(said)
    else:
        taps = plural(sum(one.covered for one in tallies.values()), "card signature")
        said = f"The log still begins with the {plural(own.size, 'statement')} of your own"
        said += f" checkpoint: none was altered since, and {taps} under it were made before that."
        report.proven.append(said)
    if count := log.kinds["root-succession"]:
        said = "your root declared the root that followed it, and so on to the one in force."
        report.proven.append(f"{plural(count, 'change')} of the root: {said}")
    if count := log.kinds["holds of an earlier log epoch"]:
        held = plural(count, "checkpoint")
        report.open.append(f"{held} of an earlier log epoch that terminals held.")
    report.open += CLOSING
    return report


def read_history(
    statements: list[tuple[int, bytes]], tree: Tree, root: str
) -> tuple[list[Shape], list[Shape]]:
    """Every key statement, and every restoration (§4), in the root's own line from `root` on."""
    keys, losses, roots = list[Shape](), list[Shape](), set[int]()
    for index, leaf in statements:
        with at(f"leaf {index} (key statement)"):
            if index and leaf.startswith(ROOT_PREFIX):
                root = read_root(leaf, root, keys[0].site)
                roots.add(index)
            elif index and leaf.startswith(LOSS_PREFIX):
                losses.append(loss := read_loss(leaf, index, root, keys[-1], roots))
                same = loss.restored.root == tree.root(loss.restored.size)
                need(same, "a restoration of other leaves than these")
            else:
                keys.append(read_keys(leaf, index, root))
                if index:
                    check_succession(keys[-1], keys[-2], losses)
    return keys, losses


def check_own(path: Path, keys: list[Shape], losses: list[Shape], tree: Tree) -> Shape:
    """The auditor's own checkpoint is one of this log, or of what a restoration says is lost."""
    with at("your own checkpoint", "The log was rewritten, or others are shown another log."):
        held, size = read_note(read_file(path, MAX_NOTE)), len(tree.levels[0])
        of_epoch = [one for one in keys if one.origin == held.origin] or keys
        check_note(held, in_force(of_epoch, held.size), alone=False)
        beyond = (one for one in losses if one.origin == held.origin)
        held.loss = next((one for one in beyond if one.restored.size < held.size), None)
        if held.loss:
            same = held.size != held.loss.last.size or held.root == held.loss.last.root
            need(same, "another root than the last known checkpoint that the root declared")
            return held
        means = "The export is older than your checkpoint, or leaves were taken away."
        what = f"{held.size:,} leaves, of which the export has {size:,}"
        need(held.size <= size, what, means)
        what = f"another root for the first {held.size:,} leaves than the export"
        need(held.root == tree.root(held.size), what)
    return held


def verify_export(chosen: argparse.Namespace) -> Shape:
    """The whole log and every body; see the top of this file."""
    folder: Path = chosen.export
    found = walk(folder)
    with at("checkpoint", ALTERED):
        note = read_note(read_file(folder / "checkpoint", MAX_NOTE))
        need(note.size, "a log without leaves, so without keys")
    check_layout(found, note.size)
    tree, statements = Tree(), list[tuple[int, bytes]]()
    for index, leaf in leaves(folder, note.size):
        tree.append(leaf)
        if index == 0 or leaf.startswith((KEYS_PREFIX, ROOT_PREFIX, LOSS_PREFIX)):
            statements.append((index, leaf))
    check_tiles(folder, note.size, tree)
    keys, losses = read_history(statements, tree, chosen.root)
    with at("checkpoint", ALTERED):
        check_note(note, in_force(keys, note.size), alone=not chosen.allow_witnesses)
        need(tree.root(note.size) == note.root, "a root that the leaves do not hash to")
    held = check_own(chosen.checkpoint, keys, losses, tree) if chosen.checkpoint else None
    with (folder / "bodies").open("rb") as file:
        log = Log(keys, losses, tree, Bodies(file))
        for index, leaf in leaves(folder, note.size):
            with at(f"leaf {index}"):
                log.take(index, leaf)
            progress(index, note.size, "leaves read")
        for line, digest in enumerate(log.bodies.places, 1):
            named = digest in log.bodies.named
            need(named, "a body that no statement names", ALTERED, f"bodies, line {line}")
        tallies = check_events(log, held.size if held and not held.loss else 0)
    return describe_log(log, note.size, tallies, held)


def verify_proof(chosen: argparse.Namespace) -> Shape:
    """One event, its batch, the batch's place under a checkpoint (§9)."""
    try:
        proof = read("proof", parse(read_file(chosen.proof, MAX_BODY)))
    except Refused as fault:
        raise OSError(f"{chosen.proof} is no proof: {fault.what}") from fault
    with at("the proof", ALTERED):
        keys, index = read_keys(proof.keys, 0, chosen.root), proof.leaf
        note = read_note(proof.checkpoint.encode("utf-8"))
        check_note(note, keys, alone=False)
        found = climb(sha256(b"\x00", proof.batch), index, note.size, proof.inclusion)
        stands = index < note.size and found == note.root
        need(stands, f"a batch that is not leaf {index} under the checkpoint")
        envelope, digest = read_envelope(proof.batch, "batch"), sha256(proof.event)
        batch = read("batch", envelope.fields)
        if batch.terminal == GATEWAY:
            check(envelope, keys.statement, "the site's statement key")
        need(digest in batch.events, "an event that is not among the batch's")
        sequence = batch.first + batch.events.index(digest)
        read_event(journal := new_journal(batch.journal, batch.terminal), sequence, proof.event)
    facts = {"site": keys.site, "origin": keys.origin, "size": note.size, "leaf": index}
    facts |= {"terminal": journal.terminal, "journal": journal.id, "sequence": sequence}
    report = Shape(facts=facts, proven=[], open=[])
    said = f"Event {sequence} of journal {journal.id}, said to be of {shown(journal.terminal)},"
    report.proven.append(f"{said} stands unaltered in leaf {index} of site {shown(keys.site)}.")
    if journal.terminal != GATEWAY:
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
    if not re.fullmatch(r"[0-9a-f]{64}", chosen.root):
        parser.error("--root is SHA-256 of the root's key: 64 lower-case hex digits")
    return chosen


def main(argv: list[str] | None = None) -> int:
    """Verify; print the findings; return the exit status of §10."""
    try:
        chosen = arguments(argv)
    except SystemExit as leave:  # argparse has said why, or has helped
        return 2 if leave.code else 0
    try:
        report = verify_proof(chosen) if chosen.proof else verify_export(chosen)
        status, verdict, facts = 0, "proven", report.facts
        facts |= {"proven": report.proven, "not_proven": report.open}
        words = "\n  - ".join(("Proven:", *report.proven))
        words += "\n  - ".join(("\nNot proven:", *report.open))
    except Refused as no:
        status, verdict, facts = 1, "refused", vars(no)
        words = f"REFUSED: {no.what}. Where: {no.where}. It means: {no.means}"
    except (OSError, RecursionError) as fault:  # folders in folders without end
        status, verdict, facts = 2, "unreadable", {"what": str(fault)}
        words = f"CANNOT BE READ: {fault}"
    print(json.dumps({"verdict": verdict, **facts}, indent=2) if chosen.json else words)
    return status


if __name__ == "__main__":
    sys.exit(main())
