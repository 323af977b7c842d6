"""What the site's log holds, judged from outside: by the auditor's program and the cards.

The daemons' own counts are not asked. Events are those on a terminal's disk; taps are those that
the cards' records say they signed and the kiosks showed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.ward.processes import NotReady, WardError
from benchmarks.ward.site import Ward
from contract.ids import Version
from contract.tap import card_digest

_REPOSITORY: Final = Path(__file__).resolve().parents[2]
_LOOK_S: Final = 0.1  # between two looks at a journal on disk
CLAIMS_A_CARD: Final = frozenset(
    {"opened", "resumed", "closed-by-tap", "parked-by-tap", "still-you", "woken", "proved"}
)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Counts that must all fit. ``lost``, ``duplicated``, ``unproven`` are 0 where all is well."""

    journalled: int
    stored: int
    lost: int
    duplicated: int
    unproven: int
    checkpoint_size: int
    verified: bool
    words: str
    """What the auditor's program said."""

    def to_json(self) -> dict[str, Any]:
        """For a summary file."""
        return asdict(self)


def wait_delivered(ward: Ward, timeout_s: float = 30.0) -> None:
    """Returns when every event on every terminal's disk has its receipt. Raises NotReady."""
    deadline = time.monotonic() + timeout_s
    while left := {name: n for name in _used(ward) if (n := _unreceipted(ward, name))}:
        if time.monotonic() > deadline:
            raise NotReady(f"events without a receipt after {timeout_s:g} s: {left}")
        time.sleep(_LOOK_S)


def wait_covered(ward: Ward, timeout_s: float = 10.0) -> None:
    """Returns when a checkpoint covers what the log holds now: so far an export goes.

    Raises NotReady.
    """
    deadline = time.monotonic() + timeout_s
    wanted = int(ward.ask("/healthz")["log_size"])
    while (covered := int(ward.ask("/healthz")["checkpoint_size"])) < wanted:
        if time.monotonic() > deadline:
            raise NotReady(f"the checkpoint covers {covered} of {wanted} leaves")
        time.sleep(_LOOK_S)


def wait_held(ward: Ward, version: Version, timeout_s: float = 10.0) -> None:
    """Returns when every running terminal has journalled that it judges by ``version``.

    Raises NotReady.
    """
    deadline = time.monotonic() + timeout_s
    running = [name for name, terminal in ward.terminals.items() if terminal.process.alive]
    while behind := [name for name in running if _held(ward, name) < version]:
        if time.monotonic() > deadline:
            raise NotReady(f"version {version} is not held by {behind} after {timeout_s:g} s")
        time.sleep(_LOOK_S / 5)


def on_disk(ward: Ward, terminal: str) -> list[dict[str, Any]]:
    """A terminal's own journals, parsed, in their order."""
    rows = _query(_journal(ward, terminal), "SELECT data FROM event ORDER BY position")
    return [json.loads(data) for (data,) in rows]


def export(ward: Ward, folder: Path) -> None:
    """Has the gateway's own command write the log to ``folder``. Raises WardError."""
    settings = ward.folder / "gateway.toml"
    argv = [sys.executable, "-m", "gateway", "export", "--settings", str(settings), str(folder)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        raise WardError(f"the export failed ({done.returncode}): {done.stderr.strip()}")


def verify(ward: Ward, folder: Path) -> tuple[int, str]:
    """The auditor's program on an export: its exit status and its words."""
    program = _REPOSITORY / "tapover_verify.py"
    argv = [sys.executable, str(program), str(folder), "--root", ward.first_root]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
    return done.returncode, (done.stdout + done.stderr).strip()


def gather(ward: Ward, folder: Path) -> Evidence:
    """Exports to ``folder``, verifies, and holds it against the terminals' disks and the cards."""
    export(ward, folder)
    status, words = verify(ward, folder)
    bodies = _bodies(folder)
    on_disk = [hashlib.sha256(data).hexdigest() for data in _on_disk(ward)]
    listed = Counter(digest for batch in _batches(folder) for digest in batch["events"])
    size = int((folder / "checkpoint").read_text().split("\n")[1])
    return Evidence(
        journalled=len(on_disk),
        stored=sum(1 for digest in on_disk if digest in bodies),
        lost=sum(1 for digest in on_disk if digest not in bodies or digest not in listed),
        duplicated=sum(count - 1 for count in listed.values()),
        unproven=_unproven(ward, bodies),
        checkpoint_size=size,
        verified=status == 0,
        words=words,
    )


def events(folder: Path) -> list[dict[str, Any]]:
    """Every event of an export, parsed."""
    parsed = (json.loads(body) for body in _bodies(folder).values())
    return [event for event in parsed if event["type"] == "tapover/event/v1"]


def timings(folder: Path) -> dict[str, dict[str, Any]]:
    """The timing event of each tap in an export, by the digest that its card signed."""
    signed: dict[tuple[str, int], str] = {}
    told: dict[tuple[str, int], dict[str, Any]] = {}
    for body in _bodies(folder).values():
        event = json.loads(body)
        detail = event.get("detail", {})
        if detail.get("kind") == "card.record":
            signed[event["journal"], event["sequence"]] = card_digest(body).hex()
        elif detail.get("kind") == "tap.timing":
            told[event["journal"], detail["record"]] = detail
    return {signed[place]: detail for place, detail in told.items()}


def referred(seen: Iterable[dict[str, Any]], reference: str | None) -> dict[str, Any]:
    """The one event that a reference such as ``7F3A-21`` names. Raises LookupError."""
    journal, _, sequence = (reference or "").lower().partition("-")
    found = [e for e in seen if e["journal"][:4] == journal and str(e["sequence"]) == sequence]
    if len(found) != 1:
        raise LookupError(f"{len(found)} events are called {reference}")
    event: dict[str, Any] = found[0]
    return event


def taps(folder: Path) -> list[dict[str, Any]]:
    """The outcomes that claim a card was there."""
    return [
        event
        for event in events(folder)
        if event["detail"]["kind"] == "card.outcome" and event["detail"]["result"] in CLAIMS_A_CARD
    ]


def signatures(ward: Ward) -> set[tuple[str, str]]:
    """(digest, slot) of everything that the members' cards say they signed at a terminal."""
    return {
        (one["prepared"][-64:], f"{one['slot']:02X}")
        for member in ward.members.values()
        for one in ward.box.log(member.card)["signatures"]
    }


def _unproven(ward: Ward, bodies: dict[str, bytes]) -> int:
    """Taps in the log that no card of the ward remembers signing, or that share a signature."""
    parsed = {digest: json.loads(body) for digest, body in bodies.items()}
    records = {
        (event["journal"], event["sequence"]): bodies[digest]
        for digest, event in parsed.items()
        if event["type"] == "tapover/event/v1" and event["detail"]["kind"] == "card.record"
    }
    signed = {digest for digest, _ in signatures(ward)}
    used: Counter[str] = Counter()
    unproven = 0
    for event in parsed.values():
        detail = event.get("detail", {})
        if detail.get("kind") != "card.outcome" or detail["result"] not in CLAIMS_A_CARD:
            continue
        record = records.get((event["journal"], detail["record"]))
        digest = "" if record is None else card_digest(record).hex()
        used[digest] += 1
        unproven += digest not in signed or used[digest] > 1
    return unproven


def _bodies(folder: Path) -> dict[str, bytes]:
    lines = (folder / "bodies").read_bytes().splitlines()
    return {hashlib.sha256(line).hexdigest(): line for line in lines}


def _leaves(folder: Path) -> Iterator[bytes]:
    root = folder / "tile" / "entries"
    # A tile's number is its path, in groups of three digits.
    files = [path for path in root.rglob("*") if path.is_file()]
    for path in sorted(
        files, key=lambda p: [part.lstrip("x") for part in p.relative_to(root).parts]
    ):
        data, at = path.read_bytes(), 0
        while at < len(data):
            length = int.from_bytes(data[at : at + 2], "big")
            yield data[at + 2 : at + 2 + length]
            at += 2 + length


def _batches(folder: Path) -> Iterator[dict[str, Any]]:
    for leaf in _leaves(folder):
        payload = json.loads(base64.b64decode(json.loads(leaf)["payload"]))
        if payload["type"] == "tapover/batch/v1":
            yield payload


def _used(ward: Ward) -> list[str]:
    """The terminals that were ever started."""
    return [name for name in ward.terminals if _journal(ward, name).exists()]


def _journal(ward: Ward, terminal: str) -> Path:
    return ward[terminal].state / "journal.sqlite"


def _query(path: Path, question: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10.0)) as connection:
        return connection.execute(question).fetchall()


def _on_disk(ward: Ward) -> Iterator[bytes]:
    for terminal in _used(ward):
        for (data,) in _query(_journal(ward, terminal), "SELECT data FROM event"):
            yield data


def _held(ward: Ward, terminal: str) -> Version:
    newest = Version(0, 0)
    for event in on_disk(ward, terminal):
        detail = event["detail"]
        if detail["kind"] in {"trust.changed", "terminal.started"}:
            newest = Version(detail["directory"]["epoch"], detail["directory"]["n"])
    return newest


def _unreceipted(ward: Ward, terminal: str) -> int:
    path = _journal(ward, terminal)
    ((written,),) = _query(path, "SELECT count(*) FROM event")
    ((receipted,),) = _query(
        path, "SELECT coalesce(sum(next - first), 0) FROM batch WHERE verdict IS NOT NULL"
    )
    return int(written) - int(receipted)
