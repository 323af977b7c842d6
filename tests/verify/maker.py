"""Makes small exports, honest or lying. Written from docs/evidence.md alone, like the verifier.

It imports nothing of ours and shares nothing with the verifier: two readers of one page. Each
method takes the lies that a test wants to tell as keyword arguments: they replace fields just
before signing, so a lie is always well formed and well signed, by whoever would tell it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.verify.signers import (
    P256,
    START_MS,
    Ed25519,
    Fields,
    Signer,
    b64,
    compact,
    digest,
    envelope,
    key_id,
)

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class Card:
    """A card, its holder, and what the directory says of both."""

    holder: str
    nine_e: Signer
    nine_a: Signer
    guid: str = field(default_factory=lambda: secrets.token_hex(16))
    position: str = "p-1"
    pin_gated: bool = True
    status: str = "active"

    def entitlement(self) -> Fields:
        return {
            "type": "tapover/entitlement/v1",
            "guid": self.guid,
            "holder": self.holder,
            "name": {"full": "Dr. Åsa Vogel", "short": "Vogel", "initials": "ÅV"},
            "credentials": [
                {
                    "slot": slot,
                    "algorithm": key.algorithm,
                    "key": b64(key.spki),
                    "pin_gated": slot == "9A" and self.pin_gated,
                }
                for slot, key in (("9A", self.nine_a), ("9E", self.nine_e))
            ],
            "positions": [{"id": self.position, "role": "dr", "name": "Dr", "areas": ["ae"]}],
            "status": self.status,
            "not_before_ms": START_MS,
            "not_after_ms": START_MS + 10**10,
            "salt": secrets.token_hex(16),
        }


def merkle(leaves: list[bytes]) -> bytes:
    """MTH of RFC 9162 §2.1.1, as it is written there: recursively."""
    if not leaves:
        return digest()
    if len(leaves) == 1:
        return digest(b"\x00", leaves[0])
    k = 1 << ((len(leaves) - 1).bit_length() - 1)
    return digest(b"\x01", merkle(leaves[:k]), merkle(leaves[k:]))


def inclusion(index: int, leaves: list[bytes]) -> list[bytes]:
    """PATH of RFC 9162 §2.1.3.1, as it is written there."""
    if len(leaves) == 1:
        return []
    k = 1 << ((len(leaves) - 1).bit_length() - 1)
    if index < k:
        return [*inclusion(index, leaves[:k]), merkle(leaves[k:])]
    return [*inclusion(index - k, leaves[k:]), merkle(leaves[:k])]


class Site:
    """A site's keys and its log so far; `write` exports it."""

    def __init__(self, name: str = "north") -> None:
        self.name = name
        self.root, self.statement, self.log = P256(), P256(), Ed25519()
        self.leaves: list[bytes] = []
        self.bodies: dict[bytes, bytes] = {}
        self.epoch, self.log_epoch, self.now_ms = 0, 1, START_MS
        self.version, self.head = (1, 0), None
        self.keys()

    version: tuple[int, int]
    head: bytes | None

    @property
    def fingerprint(self) -> str:
        return digest(self.root.spki).hex()

    @property
    def origin(self) -> str:
        return f"tapover.{self.name}/log/{self.log_epoch}"

    def add(self, kind: str, payload: Fields, signer: Signer) -> int:
        self.leaves.append(envelope(kind, compact(payload), signer))
        return len(self.leaves) - 1

    def body(self, value: bytes) -> str:
        self.bodies[digest(value)] = value
        return digest(value).hex()

    def keys(self, signer: Signer | None = None, **lies: object) -> int:
        self.epoch += 1
        payload: Fields = {
            "type": "tapover/keys/v1",
            "site": self.name,
            "epoch": self.epoch,
            "issued_ms": self.now_ms,
            "root": b64(self.root.spki),
            "statement_key": b64(self.statement.spki),
            "log": {"epoch": self.log_epoch, "key": b64(self.log.spki), "first": None},
            "terminal_ca": "x",
            "operator_ca": "y",
            "card_ca": "z",
        }
        return self.add("keys", payload | lies, signer or self.root)

    def request(self) -> str:
        index = self.add("change-request", {"type": "tapover/change-request/v1"}, P256())
        return digest(self.leaves[index]).hex()

    def change(
        self, *entries: Fields, signer: Signer | None = None, **lies: object
    ) -> tuple[int, int]:
        """A directory change with its entries; the version that it makes."""
        version = (self.version[0], self.version[1] + 1)
        payload: Fields = {
            "type": "tapover/directory-change/v1",
            "site": self.name,
            "version": {"epoch": version[0], "n": version[1]},
            "previous": self.head.hex() if self.head else None,
            "request": self.request(),
            "issued_ms": self.now_ms,
            "entries": [self.body(compact(entry)) for entry in entries],
        }
        payload |= lies
        index = self.add("directory-change", payload, signer or self.statement)
        self.version, self.head = version, digest(self.leaves[index])
        return version

    def manifest(self, **lies: object) -> int:
        payload = {"type": "tapover/directory-manifest/v1", "site": self.name, **self.at_version()}
        payload |= {"chunks": [digest().hex()]}
        return self.add("directory-manifest", payload | lies, self.statement)

    def at_version(self) -> Fields:
        version = {"epoch": self.version[0], "n": self.version[1]}
        return {"version": version, "head": self.head.hex() if self.head else None}

    def heartbeat(self, signer: Signer | None = None, **lies: object) -> bytes:
        self.now_ms += 500
        payload: Fields = {
            "type": "tapover/heartbeat/v1",
            "site": self.name,
            **self.at_version(),
            "checkpoint": None,
            "issued_ms": self.now_ms,
            "nonce": None,
        }
        return envelope("heartbeat", compact(payload | lies), signer or self.statement)

    def holds(self, size: int | None = None) -> Fields:
        known = self.leaves[:size]
        return {"epoch": self.log_epoch, "size": len(known), "root": merkle(known).hex()}

    def note(self, size: int | None = None, signer: Signer | None = None) -> bytes:
        known = self.leaves[:size]
        text = f"{self.origin}\n{len(known)}\n{b64(merkle(known))}\n".encode()
        return text + b"\n" + self.signature_line(text, signer)

    def signature_line(self, text: bytes, signer: Signer | None = None) -> bytes:
        hint = digest(self.origin.encode(), b"\n\x01", self.log.raw)[:4]
        signature = b64(hint + (signer or self.log).sign(text))
        return f"— {self.origin} {signature}\n".encode()

    def proof(self, leaf: int, event: bytes, **lies: object) -> Fields:
        path = [b64(node) for node in inclusion(leaf, self.leaves)]
        proof: Fields = {
            "type": "tapover/proof/v1",
            "event": b64(event),
            "batch": b64(self.leaves[leaf]),
            "leaf": leaf,
            "inclusion": path,
            "checkpoint": self.note().decode(),
            "keys": b64(self.leaves[0]),
        }
        return proof | lies

    def write(self, folder: Path) -> Path:
        """The export of §3, into a new folder."""
        files = {"checkpoint": self.note()}
        files["bodies"] = b"".join(body + b"\n" for body in self.bodies.values())
        bundle = [len(leaf).to_bytes(2) + leaf for leaf in self.leaves]
        files |= tiles("entries", bundle)
        nodes, level = [digest(b"\x00", leaf) for leaf in self.leaves], 0
        while nodes:
            files |= tiles(str(level), nodes)
            full = len(nodes) // 256
            nodes = [subtree(nodes[256 * i : 256 * i + 256]) for i in range(full)]
            level += 1
        for path, data in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
        return folder


def subtree(nodes: list[bytes]) -> bytes:
    while len(nodes) > 1:
        nodes = [digest(b"\x01", nodes[i], nodes[i + 1]) for i in range(0, len(nodes), 2)]
    return nodes[0]


def tiles(folder: str, items: list[bytes]) -> dict[str, bytes]:
    """Tiles of up to 256 items; a test's log has fewer than 256,000 leaves."""
    files = {}
    for start in range(0, len(items), 256):
        some = items[start : start + 256]
        partial = "" if len(some) == 256 else f".p/{len(some)}"
        files[f"tile/{folder}/{start // 256:03}{partial}"] = b"".join(some)
    return files


class Journal:
    """A terminal's journal: events, batches, and the shorthand that stories are told in."""

    def __init__(
        self, site: Site, terminal: str, key: Signer, previous: Journal | None = None
    ) -> None:
        self.site, self.terminal, self.key = site, terminal, key
        self.id = secrets.token_hex(16)
        self.events: list[bytes] = []
        self.chain = [digest(b"tapover:journal:v1\n", bytes.fromhex(self.id))]
        self.cut = 0
        self.heartbeat: bytes | None = None
        self.sessions = 0
        self.event(
            "journal.opened",
            software="tapover 0.1.0",
            previous_journal=previous.id if previous else None,
            previous_next=len(previous.events) if previous else None,
            previous_head=previous.chain[-1].hex() if previous else None,
        )

    def entry(self, state: str = "active") -> Fields:
        return {
            "type": "tapover/terminal/v1",
            "terminal": self.terminal,
            "ward": "ae",
            "batch_key": b64(self.key.spki),
            "state": state,
            "salt": secrets.token_hex(16),
        }

    def event(self, kind: str, /, *, lies: Fields | None = None, **detail: object) -> int:
        """Append an event; its sequence. `lies` replace fields of the event around the detail."""
        sequence = len(self.events)
        event: Fields = {
            "type": "tapover/event/v1",
            "terminal": self.terminal,
            "journal": self.id,
            "sequence": sequence,
            "boot": "b-1",
            "monotonic_ms": 1000 * sequence,
            "wall_ms": self.site.now_ms,
            "clock": "site",
            "salt": secrets.token_hex(16),
            "detail": {"kind": kind, **detail},
        }
        self.events.append(compact(event | (lies or {})))
        self.chain.append(digest(self.chain[-1], digest(self.events[-1])))
        return sequence

    def hold(self, envelope_line: bytes | None = None) -> int:
        self.heartbeat = envelope_line or self.site.heartbeat()
        return self.event("heartbeat.held", envelope=b64(self.heartbeat))

    def record(self, card: Card, purpose: str = "tap", **lies: object) -> int:
        version = {"epoch": self.site.version[0], "n": self.site.version[1]}
        record: Fields = {
            "guid": card.guid,
            "previous": self.chain[-1].hex(),
            "directory": version,
            "heartbeat": digest(self.heartbeat).hex() if self.heartbeat else None,
            "nonce": secrets.token_hex(32),
            "purpose": purpose,
        }
        return self.event("card.record", record=record | lies)

    def outcome(
        self, card: Card, record: int, result: str = "opened", /, signer: Signer | None = None,
        *, pin: bool = False, **lies: object,
    ) -> int:  # fmt: skip
        signer = signer or (card.nine_a if pin else card.nine_e)
        signature = signer.sign(b"tapover:card:v1\n" + self.events[record])
        detail: Fields = {
            "record": record,
            "guid": card.guid,
            "result": result,
            "reason": None,
            "key": key_id(signer),
            "algorithm": signer.algorithm,
            "signature": b64(signature),
            "holder": card.holder,
            "position": card.position,
            "session": f"s-{self.id[:6]}-{self.sessions}",
            "pin_record": None,
            "clock": "site",
            "attempts": None,
        }
        return self.event("card.outcome", **(detail | lies))

    def session(self, card: Card, change: str = "opened", **lies: object) -> int:
        detail: Fields = {
            "session": f"s-{self.id[:6]}-{self.sessions}",
            "holder": card.holder,
            "position": card.position,
            "change": change,
            "cause": "tap",
        }
        return self.event("session.changed", **(detail | lies))

    def tap(self, card: Card, result: str = "opened") -> int:
        """A whole honest tap; the sequence of its record."""
        record = self.record(card)
        self.outcome(card, record, result)
        if result in {"opened", "resumed"}:
            self.session(card, result)
            self.sessions += 1
        return record

    def batch(self, signer: Signer | None = None, upto: int | None = None, **lies: object) -> int:
        """Cut the events not yet cut, put the batch into the log; the leaf."""
        events = self.events[self.cut : upto]
        payload: Fields = {
            "type": "tapover/batch/v1",
            "terminal": self.terminal,
            "journal": self.id,
            "first": self.cut,
            "previous": self.chain[self.cut].hex(),
            "events": [self.site.body(event) for event in events],
            "holds": self.site.holds(),
        }
        self.cut += len(events)
        return self.site.add("batch", payload | lies, signer or self.key)

    def delete(self, journal: Journal, first: int, count: int, rule: str = "after 8 years") -> None:
        """In the gateway's journal: delete bodies, and say so first."""
        self.event("bodies.deleted", rule=rule, journal=journal.id, first=first, count=count)
        for event in journal.events[first : first + count]:
            self.site.bodies.pop(digest(event), None)
