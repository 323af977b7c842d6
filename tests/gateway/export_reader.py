"""An export as a stranger reads it: by docs/evidence.md §2 and §3 alone, with no code of ours."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class LogKey(Protocol):
    """Checks the log's signature; raises when it does not hold."""

    def verify(self, message: bytes, signature: bytes) -> None: ...


@dataclass(frozen=True)
class Export:
    size: int
    root: bytes
    leaves: list[bytes]
    bodies: set[bytes]


def number_path(number: int) -> str:
    digits = f"{number:03d}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[i : i + 3] for i in range(0, len(digits), 3)]
    return "/".join([f"x{group}" for group in groups[:-1]] + [groups[-1]])


def merkle(hashes: list[bytes]) -> bytes:
    """RFC 9162 §2.1.1 by its definition."""
    if len(hashes) == 1:
        return hashes[0]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return hashlib.sha256(b"\x01" + merkle(hashes[:split]) + merkle(hashes[split:])).digest()


def read_export(folder: Path, key: LogKey) -> Export:
    """Reads everything, and fails on anything missing, wrong or superfluous."""
    note = (folder / "checkpoint").read_text()
    text, signature = note.split("\n\n")
    key.verify(f"{text}\n".encode(), base64.b64decode(signature.split()[2])[4:])
    size, root = int(text.split("\n")[1]), base64.b64decode(text.split("\n")[2])
    expected = {"checkpoint", "bodies"}

    leaves: list[bytes] = []
    for number in range(-(-size // 256)):
        width = min(256, size - 256 * number)
        name = f"tile/entries/{number_path(number)}" + (f".p/{width}" if width < 256 else "")
        expected.add(name)
        data = (folder / name).read_bytes()
        before = len(leaves)
        while data:
            length = int.from_bytes(data[:2], "big")
            leaves.append(data[2 : 2 + length])
            data = data[2 + length :]
        assert len(leaves) - before == width

    level, hashes = 0, [hashlib.sha256(b"\x00" + leaf).digest() for leaf in leaves]
    assert merkle(hashes) == root
    while hashes:
        for number in range(-(-len(hashes) // 256)):
            tile = hashes[256 * number : 256 * (number + 1)]
            name = f"tile/{level}/{number_path(number)}"
            name += f".p/{len(tile)}" if len(tile) < 256 else ""
            expected.add(name)
            assert (folder / name).read_bytes() == b"".join(tile)
        full = len(hashes) // 256
        hashes = [merkle(hashes[256 * i : 256 * (i + 1)]) for i in range(full)]
        level += 1

    raw = (folder / "bodies").read_bytes()
    assert not raw or raw.endswith(b"\n")
    lines = raw.split(b"\n")[:-1]
    assert len(set(lines)) == len(lines)
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
    assert found == expected
    return Export(size, root, leaves, set(lines))
