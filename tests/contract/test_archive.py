"""A back-up opens under its passphrase, whole, or not at all."""

from __future__ import annotations

import io

import pytest

from contract.archive import PIECE, ArchiveRefused, Member, seal, unseal

FILES = {"one": b"1" * 10, "empty": b"", "large": bytes(range(256)) * (3 * PIECE // 256)}


def sealed(passphrase: bytes = b"words") -> bytes:
    members = [Member(name, len(data), [data]) for name, data in FILES.items()]
    return b"".join(seal(members, passphrase))


def opened(data: bytes, passphrase: bytes = b"words") -> dict[str, bytes]:
    members = unseal(io.BytesIO(data).read, passphrase)
    return {member.name: b"".join(member.pieces) for member in members}


def test_what_went_in_comes_out_and_nothing_of_it_can_be_read() -> None:
    data = sealed()
    assert opened(data) == FILES
    assert b"large" not in data
    assert sealed() != data


def test_files_that_nobody_reads_are_passed_over() -> None:
    names = [member.name for member in unseal(io.BytesIO(sealed()).read, b"words")]
    assert names == list(FILES)


def test_another_passphrase_opens_nothing() -> None:
    with pytest.raises(ArchiveRefused, match="another passphrase"):
        opened(sealed(), b"others")


def test_a_piece_that_is_altered_left_out_moved_or_cut_off_is_refused() -> None:
    data, head = sealed(), 34
    piece = PIECE + 16
    wrong = [
        b"",
        data[:20],
        b"x" + data[1:],
        data[:-1],
        data[: head + piece],
        data[: head + 2 * piece],
        data + b"x",
        data[:head] + data[head + piece :],
        data[:head] + data[head + piece : head + 2 * piece] + data[head : head + piece],
        data[: head + 100] + bytes([data[head + 100] ^ 1]) + data[head + 101 :],
    ]
    for each in wrong:
        with pytest.raises(ArchiveRefused):
            opened(each)
