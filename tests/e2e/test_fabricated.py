"""A terminal's own keys alone make no tap: the gateway keeps the bytes, the verifier refuses them.

The thief here holds everything that a terminal holds: its certificate, its batch key, its place in
the register. He writes a journal of his own, flawless but for the card that was not there.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.ward.evidence import verify
from benchmarks.ward.people import STAFF, Member
from benchmarks.ward.site import Ward
from contract.directory import Slot
from contract.events import (
    CardOutcome,
    CardRecorded,
    Cause,
    ClockTrust,
    JournalOpened,
    OutcomeResult,
    Reason,
    SessionChange,
    SessionChanged,
)
from contract.ids import KeyId, SessionId, Version
from contract.journal import Verdict
from contract.signing import SoftwareSigner, sha256
from contract.tap import DirectoryVersion, TapRecord, card_message
from contract.wire import decode_base64, encode_base64
from hardware.virtual.card import Card
from hardware.virtual.names import Slot as CardSlot
from tests.e2e.asking import Log
from tests.e2e.insider import Thief


@pytest.fixture(scope="module")
def whole(module_tmp: Path) -> Iterator[Ward]:
    """A site with one holder, and one terminal in its register, whose keys were stolen unused."""
    with Ward(module_tmp / "ward", (), STAFF[:1], asleep=("bay-1",)) as ward:
        yield ward


@pytest.fixture
def ward(whole: Ward, tmp_path: Path) -> Iterator[Ward]:
    """The gateway with nothing yet of what the thief sends: its disk is put back after each."""
    disk, kept = whole.folder / "gateway-state", tmp_path / "gateway-state"
    whole.gateway.kill()
    shutil.copytree(disk, kept, ignore=shutil.ignore_patterns("*.sock"))
    whole.start_gateway()
    whole.wait_linked()
    yield whole
    whole.gateway.kill()
    shutil.rmtree(disk)
    shutil.copytree(kept, disk)
    whole.start_gateway()


class Story:
    """What the thief claims: one tap by a card, and the session that it opened."""

    def __init__(self, ward: Ward) -> None:
        self.thief = Thief(ward, "bay-1")
        self.member: Member = ward.member("h-amal")
        self.session = SessionId(secrets.token_hex(16))
        self.thief.write(JournalOpened(software="0.1.0"))

    def record(self) -> tuple[int, bytes]:
        """A tap record as a terminal writes it: place in the journal, and its bytes."""
        sequence = self.thief.next_sequence
        record = TapRecord(
            guid=self.member.entitlement.guid,
            previous=self.thief.chain,
            directory=DirectoryVersion.of(Version(1, 1)),
            heartbeat=None,
            nonce=secrets.token_hex(32),
        )
        return sequence, self.thief.write(CardRecorded(record=record))

    def opened(self, sequence: int, signature: bytes | None, key: KeyId | None = None) -> None:
        """That the tap under this record opened a session."""
        credential = self.member.entitlement.credential(Slot.CARD_AUTHENTICATION)
        assert credential is not None
        self.thief.write(
            CardOutcome(
                record=sequence,
                guid=self.member.entitlement.guid,
                result=OutcomeResult.OPENED,
                reason=Reason.GRANTED,
                key=key or KeyId(sha256(decode_base64(credential.key))),
                algorithm=credential.algorithm,
                signature=encode_base64(signature) if signature else None,
                holder=self.member.entitlement.holder,
                position=self.member.entitlement.positions[0].id,
                session=self.session,
                clock=ClockTrust.SITE,
            )
        )

    def session_opened(self) -> None:
        self.thief.write(
            SessionChanged(
                session=self.session,
                holder=self.member.entitlement.holder,
                position=self.member.entitlement.positions[0].id,
                change=SessionChange.OPENED,
                cause=Cause.TAP,
            )
        )

    def card_signs(self, record: bytes) -> bytes:
        """What only somebody with the card in his hand can have."""
        private = Card.load(self.member.card).keys[CardSlot.CARD_AUTHENTICATION].private
        return SoftwareSigner(private).sign(card_message(record))  # type: ignore[arg-type]


def with_the_card(story: Story) -> None:
    sequence, record = story.record()
    story.opened(sequence, story.card_signs(record))
    story.session_opened()


def signed_by_the_terminal(story: Story) -> None:
    sequence, record = story.record()
    story.opened(sequence, story.thief.batch_key.sign(card_message(record)))
    story.session_opened()


def by_a_key_of_the_terminals(story: Story) -> None:
    sequence, record = story.record()
    key = story.thief.batch_key
    story.opened(sequence, key.sign(card_message(record)), key.public.key_id)
    story.session_opened()


def without_a_signature(story: Story) -> None:
    sequence, _ = story.record()
    story.opened(sequence, None)
    story.session_opened()


def with_the_signature_of_an_earlier_tap(story: Story) -> None:
    _, earlier = story.record()
    signature = story.card_signs(earlier)
    sequence, _ = story.record()
    story.opened(sequence, signature)
    story.session_opened()


def twice_by_one_tap(story: Story) -> None:
    sequence, record = story.record()
    for _ in range(2):
        story.opened(sequence, story.card_signs(record))


def without_any_tap(story: Story) -> None:
    story.session_opened()


def test_what_the_thief_writes_is_flawless_where_the_card_was_really_there(
    ward: Ward, module_tmp: Path
) -> None:
    status, words = judged(ward, module_tmp, with_the_card)
    assert status == 0, words


FABRICATED = [
    pytest.param(signed_by_the_terminal),
    pytest.param(with_the_signature_of_an_earlier_tap),
    pytest.param(without_a_signature, marks=pytest.mark.full),
    pytest.param(by_a_key_of_the_terminals, marks=pytest.mark.full),
    pytest.param(twice_by_one_tap, marks=pytest.mark.full),
    pytest.param(without_any_tap, marks=pytest.mark.full),
]


@pytest.mark.parametrize("claim", FABRICATED)
def test_a_tap_fabricated_with_the_terminals_keys_alone_is_refused_by_the_verifier(
    ward: Ward, module_tmp: Path, claim: Callable[[Story], None]
) -> None:
    status, words = judged(ward, module_tmp, claim)
    assert status == 1, words
    assert "bay-1" in words


def judged(ward: Ward, folder: Path, claim: Callable[[Story], None]) -> tuple[int, str]:
    """The auditor's exit status and words, after the gateway took the claim as any other."""
    story = Story(ward)
    claim(story)
    receipt = story.thief.deliver()
    assert receipt.verdict is Verdict.ACCEPTED
    assert receipt.leaf is not None
    return verify(ward, Log(ward, folder / story.session).export())
