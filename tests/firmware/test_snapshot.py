"""A whole directory, streamed in chunks: all of it is believed, or none."""

from __future__ import annotations

import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.directory import Chunk, ChunkList, EntryKind, Removed
from contract.ids import Digest, Guid, SiteId, Version
from contract.signing import sha256
from contract.tap import DirectoryVersion
from firmware_py.trust.snapshot import Reading, Taken, judge_manifest, take
from firmware_py.trust.statements import Apply, Fault, Held, Refused, Row, UpToDate, judge_change
from tests.firmware.rights import (
    KEYS,
    NOW_MS,
    Gateway,
    entitlement,
    fault,
    keys,
    policy,
    terminal,
)


def card(n: int) -> Guid:
    return Guid(f"{n:032x}")


def grown(cards: int = 5) -> Gateway:
    """A site with some cards, a terminal and a policy."""
    gateway = Gateway()
    gateway.change(*(entitlement(guid=card(n + 1)) for n in range(cards)), terminal(), policy())
    return gateway


def begin(manifest: bytes, highest: Held | None = None, held: Held | None = None) -> Reading:
    reading = judge_manifest(manifest, KEYS, highest or Held(), held or Held())
    assert isinstance(reading, Reading)
    return reading


def read(manifest: bytes, bodies: list[bytes]) -> Taken | Refused:
    """Everything in order; the last verdict, with all rows."""
    reading = begin(manifest)
    rows: tuple[Row, ...] = ()
    for body in bodies:
        verdict = take(reading, body)
        if isinstance(verdict, Refused):
            return verdict
        reading = verdict.reading
        rows += verdict.rows
    return Taken(reading, rows)


def test_a_snapshot_is_read_chunk_by_chunk_and_is_the_whole_directory() -> None:
    gateway = grown()
    manifest, listed, chunks = gateway.snapshot()
    whole = read(manifest, [listed, *chunks])
    assert isinstance(whole, Taken)
    assert whole.reading.complete
    assert whole.reading.held == Held(Version(1, 1), gateway.head, gateway.issued_ms)
    assert [row.key for row in whole.rows] == sorted(gateway.entries)
    lines = b"".join(chunks).splitlines()
    assert [row.line for row in whole.rows] == lines


def test_changes_go_on_from_a_snapshot() -> None:
    gateway = grown()
    manifest, listed, chunks = gateway.snapshot()
    whole = read(manifest, [listed, *chunks])
    assert isinstance(whole, Taken)
    later = judge_change(gateway.change(policy(grace_s=60)), KEYS, whole.reading.held)
    assert isinstance(later, Apply)


def test_it_says_what_it_wants_next() -> None:
    manifest, listed, chunks = grown().snapshot()
    reading = begin(manifest)
    for body in [listed, *chunks]:
        assert reading.wanted == sha256(body)
        assert not reading.complete
        verdict = take(reading, body)
        assert isinstance(verdict, Taken)
        reading = verdict.reading
    assert reading.wanted is None


def test_an_older_snapshot_is_a_roll_back_also_for_a_terminal_that_lost_its_directory() -> None:
    gateway = grown()
    manifest, _, _ = gateway.snapshot()
    highest = Held(Version(1, 2), Digest("ab" * 32), NOW_MS)
    for held in (highest, Held()):
        verdict = judge_manifest(manifest, KEYS, highest, held)
        assert fault(verdict) is Fault.ROLLED_BACK


def test_the_version_held_is_up_to_date_unless_it_was_lost() -> None:
    gateway = grown()
    manifest, _, _ = gateway.snapshot()
    held = Held(gateway.version, gateway.head, gateway.issued_ms)
    assert judge_manifest(manifest, KEYS, held, held) == UpToDate()
    assert isinstance(judge_manifest(manifest, KEYS, held, Held()), Reading)


def test_the_same_version_with_another_head_is_a_fork() -> None:
    gateway = grown()
    manifest, _, _ = gateway.snapshot()
    other = Held(gateway.version, Digest("ab" * 32), gateway.issued_ms)
    assert fault(judge_manifest(manifest, KEYS, other, Held())) is Fault.FORKED


def test_a_manifest_by_another_key_site_or_epoch_is_refused() -> None:
    gateway = grown()
    foreign, _, _ = gateway.snapshot(site=SiteId("other-hospital"))
    assert fault(judge_manifest(foreign, KEYS, Held(), Held())) is Fault.WRONG_SITE
    ahead, _, _ = gateway.snapshot(version=DirectoryVersion(epoch=2, n=1))
    assert fault(judge_manifest(ahead, KEYS, Held(), Held())) is Fault.KEYS_OLD
    mine, _, _ = gateway.snapshot()
    assert fault(judge_manifest(mine, keys(2), Held(), Held())) is Fault.KEY_UNKNOWN


def test_after_a_new_key_statement_the_old_epochs_version_is_taken_under_the_new_key() -> None:
    gateway = grown()
    gateway.epoch = 2
    manifest, _, _ = gateway.snapshot()
    assert isinstance(judge_manifest(manifest, keys(2), Held(), Held()), Reading)


LINE = entitlement(guid=card(7)).to_bytes() + b"\n"
EARLIER = entitlement(guid=card(3)).to_bytes() + b"\n"
GONE = Removed(kind=EntryKind.POLICY, id="resus", salt=secrets.token_hex(16)).to_bytes() + b"\n"


@pytest.mark.parametrize(
    "chunks",
    [
        [(LINE, 2)],
        [(LINE[:-1], 1)],
        [(LINE + EARLIER, 2)],
        [(LINE, 1), (EARLIER, 1)],
        [(LINE, 1), (LINE, 1)],
        [(LINE + GONE, 2)],
        [(b"{}\n", 1)],
        [(LINE.replace(b'"active"', b'"retired"'), 1)],
        [(LINE + b"\n", 2)],
    ],
    ids=[
        "fewer than listed",
        "no newline at the end",
        "not sorted",
        "not sorted over chunks",
        "twice",
        "a removal",
        "no entry",
        "no status of ours",
        "an empty line",
    ],
)
def test_a_signed_snapshot_that_is_not_in_order_is_refused(chunks: list[tuple[bytes, int]]) -> None:
    gateway = grown()
    manifest, listed, bodies = gateway.seal_snapshot(chunks)
    assert fault(read(manifest, [listed, *bodies])) is Fault.BODY


def test_a_chunk_of_another_size_than_listed_is_refused() -> None:
    gateway = grown()
    chunk = Chunk(digest=sha256(LINE), size=len(LINE) + 1, entries=1)
    listed = ChunkList(chunks=(chunk,)).to_bytes()
    manifest, _, _ = gateway.seal_snapshot([(LINE, 1)], chunks=sha256(listed))
    assert fault(read(manifest, [listed, LINE])) is Fault.BODY


def test_a_list_that_counts_otherwise_than_the_manifest_is_refused() -> None:
    manifest, listed, _ = grown().snapshot(entries=6)
    assert fault(take(begin(manifest), listed)) is Fault.BODY


def test_nothing_is_taken_after_the_last_chunk() -> None:
    manifest, listed, chunks = grown().snapshot()
    whole = read(manifest, [listed, *chunks])
    assert isinstance(whole, Taken)
    assert fault(take(whole.reading, chunks[-1])) is Fault.BODY


_MANIFEST, _LISTED, _CHUNKS = grown().snapshot()


@given(st.data())
def test_spoilt_bodies_are_refused_and_nothing_else_happens(data: st.DataObject) -> None:
    bodies = [_LISTED, *_CHUNKS]
    which = data.draw(st.integers(0, len(bodies) - 1))
    at = data.draw(st.integers(0, len(bodies[which]) - 1))
    value = data.draw(st.integers(0, 255))
    body = bodies[which]
    bodies[which] = body[:at] + bytes([value]) + body[at + 1 :]
    verdict = read(_MANIFEST, bodies)
    assert isinstance(verdict, Taken) is (bodies[which] == body)


@given(st.binary(max_size=200))
def test_any_bytes_instead_of_a_manifest_are_refused(data: bytes) -> None:
    assert isinstance(judge_manifest(data, KEYS, Held(), Held()), Refused)
