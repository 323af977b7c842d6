"""Requests become versions: who is believed, what is one transaction, how others catch up."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract.directory import (
    CATCH_UP_CHANGES,
    MAX_CHUNK_BYTES,
    ChunkList,
    Credential,
    DirectoryChange,
    DirectoryManifest,
    Entitlement,
    EntryKind,
    Name,
    Removed,
    Slot,
    Status,
    Terminal,
    TerminalState,
    entry_key,
    parse_entry,
)
from contract.ids import Digest, Guid, HolderId, OperatorId, TerminalId, Version
from contract.journal import split_lines
from contract.policy import Policy
from contract.signing import Algorithm, Envelope, sha256
from gateway.directory.register import NotRegistered, Register
from gateway.directory.requests import Operator, RequestConflicts, RequestRefused
from gateway.directory.snapshot import NoSnapshot, Snapshots, cut
from gateway.directory.source import NO_VERSION, Applied, Directory, Held, VersionUnknown
from gateway.store import StoreFailed
from tests.gateway.conftest import World
from tests.gateway.identities import Scribe
from tests.gateway.requests import request, terminal_entry
from tests.gateway.test_evidence import Stranger, failing

CARD = Scribe("nobody").signer.public


def entitlement(guid: str, holder: str = "h-ines", status: Status = Status.ACTIVE) -> Entitlement:
    return Entitlement(
        guid=Guid(guid),
        holder=HolderId(holder),
        name=Name(full="Ines Example", short="Ines E.", initials="IE"),
        credentials=(
            Credential(
                slot=Slot.CARD_AUTHENTICATION, algorithm=Algorithm.P256, key=CARD.to_base64()
            ),
        ),
        positions=(),
        status=status,
        not_before_ms=0,
        not_after_ms=2**50,
        salt=secrets.token_hex(16),
    )


class Office:
    """An operator and the directory of a world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.signer = Scribe("nobody").signer
        self.operator = Operator(OperatorId("ines"), self.signer.public)
        self.reopen()

    def reopen(self) -> None:
        world = self.world
        self.register = Register(world.authority.statement)
        self.directory = Directory(world.store, world.evidence, world.authority, self.register)

    def change(self, *entries: Entitlement | Terminal | Policy | Removed) -> Applied:
        return self.send(request(entries, self.signer))

    def send(self, message: bytes) -> Applied:
        applied = self.ask(message)
        assert isinstance(applied, Applied)
        return applied

    def ask(self, message: bytes) -> Applied | Held:
        return self.directory.apply(message, self.operator, self.world.now)

    def opened(self, applied: Applied) -> DirectoryChange:
        envelope, _ = split_lines(applied.message, len(applied.message))
        return DirectoryChange.open(envelope, self.world.identity.statement.public)


@pytest.fixture
def office(world: World) -> Office:
    return Office(world)


def test_each_change_makes_one_version_and_names_the_one_before_it(office: Office) -> None:
    first = office.opened(office.change(entitlement("aa" * 16)))
    applied = office.change(entitlement("bb" * 16))
    second = office.opened(applied)
    assert (first.version.value, first.previous) == (Version(1, 1), None)
    assert second.version.value == Version(1, 2)
    message = office.directory.changes_after(NO_VERSION)[0]
    assert second.previous == split_lines(message, len(message))[0].digest
    assert office.directory.head.version == Version(1, 2)
    assert office.directory.head.digest == split_lines(applied.message, 10**6)[0].digest


def test_request_change_and_the_gateways_own_event_are_leaves_of_one_transaction(
    office: Office,
) -> None:
    before = len(Stranger(office.world.database).leaves)
    message = request([entitlement("aa" * 16)], office.signer)
    commits: list[object] = []
    sa.event.listen(office.world.store.engine, "commit", commits.append)
    applied = office.send(message)
    assert len(commits) == 1
    stranger = Stranger(office.world.database)
    stranger.check()
    asked, made, own = stranger.leaves[before:]
    assert asked == message.split(b"\n")[0]
    assert made == applied.message.split(b"\n")[0]
    assert b"batch.v1" in own
    assert office.opened(applied).request == sha256(asked)
    last = stranger.events[max(stranger.events)]
    assert b"directory.published" in last
    assert sha256(asked).encode() in last


def test_a_change_whose_commit_fails_has_never_been(office: Office) -> None:
    message = request([terminal_entry("bay-1", CARD)], office.signer)
    with failing(office.world, "before"), pytest.raises(StoreFailed):
        office.send(message)
    assert office.directory.head.version == NO_VERSION
    assert office.register.all() == []
    assert office.send(message).version == Version(1, 1)


@pytest.mark.parametrize("restart", [False, True])
def test_a_request_sent_again_is_answered_again_and_changes_nothing(
    office: Office, *, restart: bool
) -> None:
    message = request([entitlement("aa" * 16)], office.signer)
    first = office.send(message)
    if restart:
        office.world.reopen()
        office.reopen()
    size = office.world.evidence.log.edge().size
    again = office.send(message)
    assert (again.version, again.message, again.is_new) == (first.version, first.message, False)
    assert office.world.evidence.log.edge().size == size


@pytest.mark.parametrize("restart", [False, True])
def test_an_answer_that_was_lost_with_the_commit_is_found_when_it_is_sent_again(
    office: Office, *, restart: bool
) -> None:
    message = request([terminal_entry("bay-1", CARD)], office.signer)
    with failing(office.world, "after"), pytest.raises(StoreFailed):
        office.send(message)
    if restart:
        office.world.reopen()
        office.reopen()
    assert office.directory.head.version == Version(1, 1)
    assert office.register.active(TerminalId("bay-1")).key == CARD
    again = office.send(message)
    assert (again.version, again.is_new) == (Version(1, 1), False)


def test_a_nonce_serves_one_request(office: Office) -> None:
    nonce = secrets.token_hex(32)
    office.send(request([entitlement("aa" * 16)], office.signer, nonce=nonce))
    with pytest.raises(RequestConflicts):
        office.send(request([entitlement("bb" * 16)], office.signer, nonce=nonce))


def bad_requests(office: Office) -> dict[str, bytes]:
    entry = entitlement("aa" * 16)
    good = request([entry], office.signer)
    lines = good.split(b"\n")
    rsa_claimed = entry.model_copy(
        update={
            "credentials": (
                entry.credentials[0].model_copy(update={"algorithm": Algorithm.RSA2048}),
            )
        }
    )
    log_key = office.world.identity.log.public
    return {
        "another key": request([entry], Scribe("nobody").signer),
        "another operator's name": request([entry], office.signer, operator="otto"),
        "an entry is missing": lines[0],
        "an entry was exchanged": b"\n".join((lines[0], entitlement("aa" * 16).to_bytes())),
        "an entry too many": good + b"\n" + lines[1],
        "no envelope": b"{}",
        "nothing": b"",
        "a reserved name": request([terminal_entry("gateway", CARD)], office.signer),
        "the site's name": request([terminal_entry("site", CARD)], office.signer),
        "a batch key of another kind": request([terminal_entry("bay-1", log_key)], office.signer),
        "a key listed as what it is not": request([rsa_claimed], office.signer),
    }


def takes(office: Office, message: bytes) -> bool:
    try:
        office.send(message)
    except RequestRefused:
        return False
    return True


def test_what_is_not_to_be_believed_or_used_is_refused_and_written_down(
    office: Office,
) -> None:
    before = len(Stranger(office.world.database).leaves)
    bad = bad_requests(office)
    believed = [name for name, message in bad.items() if takes(office, message)]
    assert believed == []
    assert office.directory.head.version == NO_VERSION
    stranger = Stranger(office.world.database)
    stranger.check()
    assert all(b"batch.v1" in leaf for leaf in stranger.leaves[before:])
    denials = b"".join(event for event in stranger.events.values() if b"change.denied" in event)
    for message in bad.values():
        assert sha256(message.split(b"\n")[0]).encode() in denials


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_an_operator_sends_is_carried_out_or_refused_in_our_own_words(
    office: Office, data: st.DataObject
) -> None:
    message = bytearray(request([entitlement("aa" * 16)], office.signer))
    place = data.draw(st.integers(0, 2**20)) % len(message)
    match data.draw(st.sampled_from(["noise", "flip", "cut", "splice"])):
        case "noise":
            message = bytearray(data.draw(st.binary(max_size=300)))
        case "flip":
            message[place] ^= 1 << data.draw(st.integers(0, 7))
        case "cut":
            message = message[:place]
        case _:
            message[place:place] = data.draw(st.binary(min_size=1, max_size=20))
    assert not takes(office, bytes(message))


def test_a_card_does_not_pass_to_another_holder_unless_it_is_taken_away_first(
    office: Office,
) -> None:
    office.change(entitlement("aa" * 16, "h-ines"))
    with pytest.raises(RequestConflicts):
        office.change(entitlement("aa" * 16, "h-otto"))
    removed = Removed(kind=EntryKind.ENTITLEMENT, id="aa" * 16, salt=secrets.token_hex(16))
    office.change(removed, entitlement("aa" * 16, "h-otto"))


def test_within_one_change_two_holders_cannot_share_a_card(office: Office) -> None:
    with pytest.raises(RequestConflicts):
        office.change(entitlement("aa" * 16, "h-ines"), entitlement("aa" * 16, "h-otto"))


def test_the_register_follows_changes_and_is_there_after_a_restart(office: Office) -> None:
    office.change(terminal_entry("bay-1", CARD), terminal_entry("bay-2", CARD))
    assert office.register.active(TerminalId("bay-1")).key == CARD
    office.change(terminal_entry("bay-1", CARD, TerminalState.RETIRED))
    removed = Removed(kind=EntryKind.TERMINAL, id="bay-2", salt=secrets.token_hex(16))
    office.change(removed)
    for _ in range(2):
        for name in ("bay-1", "bay-2", "bay-3"):
            with pytest.raises(NotRegistered):
                office.register.active(TerminalId(name))
        office.world.reopen()
        office.reopen()


def test_a_terminal_catches_up_in_order_and_in_portions(office: Office) -> None:
    sent = [office.change(entitlement("aa" * 16)).message for _ in range(CATCH_UP_CHANGES + 3)]
    first = office.directory.changes_after(NO_VERSION)
    assert first == sent[:CATCH_UP_CHANGES]
    second = office.directory.changes_after(Version(1, CATCH_UP_CHANGES))
    assert second == sent[CATCH_UP_CHANGES:]
    assert office.directory.changes_after(Version(1, len(sent))) == []


@pytest.mark.parametrize("version", [Version(1, 2), Version(2, 0), Version(0, 1)])
def test_a_version_that_never_was_leads_to_a_snapshot(office: Office, version: Version) -> None:
    office.change(entitlement("aa" * 16))
    with pytest.raises(VersionUnknown):
        office.directory.changes_after(version)


def test_an_answer_stays_within_what_a_terminal_holds(office: Office) -> None:
    for _ in range(6):
        office.change(*(entitlement(secrets.token_hex(16)) for _ in range(500)))
    messages = office.directory.changes_after(NO_VERSION)
    assert 1 <= len(messages) < 6
    assert sum(len(message) for message in messages) * 4 / 3 <= 2 * 1024 * 1024


def test_another_key_epoch_begins_again_at_one(office: Office) -> None:
    before = office.change(entitlement("aa" * 16))
    office.world.identity.write_keys(office.world.identity.key_statement(2))
    office.world.reopen()
    office.reopen()
    change = office.opened(office.change(entitlement("bb" * 16)))
    assert change.version.value == Version(2, 1)
    assert change.previous == split_lines(before.message, 10**6)[0].digest
    assert len(office.directory.changes_after(Version(1, 1))) == 1


@pytest.fixture
def snapshots(office: Office, tmp_path: Path) -> Snapshots:
    world = office.world
    return Snapshots(world.store, world.evidence, world.authority, tmp_path / "chunks")


def read_snapshot(office: Office, snapshots: Snapshots) -> tuple[DirectoryManifest, list[bytes]]:
    """As a terminal does: every digest checked."""
    envelope = Envelope.from_bytes(snapshots.manifest(1))
    manifest = DirectoryManifest.open(envelope, office.world.identity.statement.public)
    listing = snapshots.chunk(manifest.chunks)
    assert sha256(listing) == manifest.chunks
    data = b""
    for chunk in ChunkList.from_bytes(listing).chunks:
        piece = snapshots.chunk(chunk.digest)
        assert (sha256(piece), len(piece)) == (chunk.digest, chunk.size)
        assert piece.count(b"\n") == chunk.entries
        data += piece
    lines = data.split(b"\n")
    assert lines.pop() == b""
    assert len(lines) == manifest.entries
    return manifest, lines


def test_a_snapshot_holds_what_stands_ordered_and_nothing_removed(
    office: Office, snapshots: Snapshots
) -> None:
    with pytest.raises(NoSnapshot):
        snapshots.manifest(1)
    office.change(
        terminal_entry("bay-1", CARD),
        *(entitlement(f"{n:032x}") for n in range(1, 3000, 7)),
        entitlement("aa" * 16),
    )
    revoked = entitlement("aa" * 16, status=Status.REVOKED)
    removed = Removed(kind=EntryKind.ENTITLEMENT, id=f"{8:032x}", salt=secrets.token_hex(16))
    office.change(revoked, removed)
    manifest, lines = read_snapshot(office, snapshots)
    assert manifest.version.value == Version(1, 2)
    assert manifest.head == office.directory.head.digest
    keys = [entry_key(parse_entry(line)) for line in lines]
    assert keys == sorted(keys)
    assert len(keys) == 429 + 1 + 1 - 1
    assert revoked.to_bytes() in lines
    assert (EntryKind.ENTITLEMENT, f"{8:032x}") not in keys


def test_a_manifest_is_a_leaf_made_once_for_a_version_also_over_a_restart(
    office: Office, snapshots: Snapshots, tmp_path: Path
) -> None:
    office.change(entitlement("aa" * 16))
    first = snapshots.manifest(1)
    size = office.world.evidence.log.edge().size
    assert Stranger(office.world.database).leaves[-1] == first
    assert snapshots.manifest(2) == first
    for file in (tmp_path / "chunks").iterdir():
        file.unlink()
    office.world.reopen()
    office.reopen()
    world = office.world
    again = Snapshots(world.store, world.evidence, world.authority, tmp_path / "chunks")
    assert again.manifest(3) == first
    assert world.evidence.log.edge().size == size + 1  # the gateway's start
    read_snapshot(office, again)


def test_old_snapshots_can_be_finished_for_a_while_and_then_leave_no_files(
    office: Office, snapshots: Snapshots, tmp_path: Path
) -> None:
    wanted: list[Digest] = []
    for _ in range(6):
        office.change(entitlement("aa" * 16))
        wanted.append(read_snapshot(office, snapshots)[0].chunks)
    assert snapshots.chunk(wanted[-2])
    with pytest.raises(NoSnapshot):
        snapshots.chunk(wanted[0])
    assert len(list((tmp_path / "chunks").iterdir())) == 6


def test_entries_are_cut_into_chunks_of_a_mebibyte() -> None:
    lines = [b"%08d" % n * 500 for n in range(1000)]
    pieces = list(cut(lines))
    assert all(len(piece) <= MAX_CHUNK_BYTES for piece in pieces)
    assert len(pieces) == 4
    assert b"".join(pieces) == b"".join(line + b"\n" for line in lines)
