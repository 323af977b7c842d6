"""A card torn away, or the process killed, at any exchange: run again, it is whole or blank.

Exchanges are counted here, in process; `test_torn_at_the_desk.py` kills processes over pcscd.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from contract.ids import SiteId
from hardware.apdu import CardTorn
from hardware.piv import Pin
from hardware.virtual.card import Card
from hardware.virtual.names import Ins
from provisioning.cards.desk import Desk
from provisioning.cards.journal import CardBook, CardRecord, Stage
from provisioning.cards.making import issue_at, undo_card
from provisioning.errors import (
    CardBlocked,
    CardUnfit,
    DiskFailed,
    NotOurCard,
    ProvisioningError,
    PukUnknown,
)
from provisioning.site.folder import SiteFolder, init_site
from runtime.clock import SystemClock
from tests.provisioning.torn import (
    HOLDER,
    PIN,
    Tearing,
    expect_blank,
    expect_not_locked,
    expect_whole,
    held,
)

Kill = tuple[int, bool]
"""The number of an exchange, and whether the card still had its command."""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    folder = SiteFolder(tmp_path_factory.mktemp("torn") / "site")
    clock = SystemClock()
    init_site(folder, SiteId("st-elsewhere"), ("127.0.0.1",), None, clock.wall_ms())
    return Desk.open(folder, clock)


def issue(desk: Desk, card: Card, kill: Kill = (0, False)) -> int:
    """Exchanges that it took. Raises CardTorn when it came to the kill."""
    channel = Tearing(held(card), *kill)
    issue_at(desk, channel, HOLDER, Pin(PIN))
    return channel.count


def undo(desk: Desk, card: Card, kill: Kill = (0, False)) -> int:
    channel = Tearing(held(card), *kill)
    undo_card(desk, channel)
    return channel.count


def every_kill(work: Callable[[Kill], int]) -> int:
    """Calls `work` with every kill until an exchange's number is not reached; how many are."""
    at, total = 0, None
    while total is None:
        at += 1
        for executed in (False, True):
            try:
                total = work((at, executed))
            except CardTorn:
                continue
    return total


def test_issuance_torn_at_any_exchange_is_finished_by_running_it_again(desk: Desk) -> None:
    guids: list[bytes | None] = []

    def torn_once(kill: Kill) -> int:
        card = Card()
        try:
            return issue(desk, card, kill)
        finally:
            issue(desk, card)
            expect_whole(desk, card)
            guids.append(card.guid)

    total = every_kill(torn_once)
    print(f"{total} exchanges, {len(guids)} cards torn")
    assert total > 25
    assert len(set(guids)) == len(guids)


def test_issuance_torn_at_any_exchange_can_be_taken_back(desk: Desk) -> None:
    def torn_once(kill: Kill) -> int:
        card = Card()
        try:
            return issue(desk, card, kill)
        finally:
            if card.guid is None:
                expect_blank(card)
            else:
                undo(desk, card)
                expect_blank(card)
                issue(desk, card)
                expect_whole(desk, card)

    every_kill(torn_once)


def test_taking_back_torn_at_any_exchange_is_finished_by_running_it_again(desk: Desk) -> None:
    def torn_once(kill: Kill) -> int:
        card = Card()
        issue(desk, card)
        first = card.guid
        try:
            return undo(desk, card, kill)
        finally:
            if card.guid is not None:
                undo(desk, card)
            expect_blank(card)
            issue(desk, card)
            assert card.guid != first

    every_kill(torn_once)


class FailingBook(CardBook):
    """A disk that does not take the `at`-th record: before it is there, or after."""

    def __init__(self, folder: SiteFolder, at: int, *, written: bool) -> None:
        super().__init__(folder.authority / "cards")
        self.at = at
        self.written = written

    def begin(self, holder: str, now_ms: int) -> CardRecord:
        return self._write(lambda: CardBook.begin(self, holder, now_ms))

    def keep(self, record: CardRecord) -> CardRecord:
        return self._write(lambda: CardBook.keep(self, record))

    def _write(self, write: Callable[[], CardRecord]) -> CardRecord:
        self.at -= 1
        if self.at == 0 and not self.written:
            raise DiskFailed("no space is left on the disk")
        record = write()
        if self.at == 0:
            raise DiskFailed("power went after it was there")
        return record


@pytest.mark.parametrize("written", [False, True])
def test_a_disk_that_fails_at_any_record_costs_no_card(desk: Desk, *, written: bool) -> None:
    at, finished = 0, False
    while not finished:
        at += 1
        card, book = Card(), FailingBook(desk.folder, at, written=written)
        try:
            issue(replace(desk, book=book), card)
            finished = True
        except DiskFailed:
            expect_not_locked(card)
            issue(desk, card)
        expect_whole(desk, card)
    assert at > 5


kills = st.lists(st.tuples(st.integers(1, 45), st.booleans()), max_size=12)


@given(kills)
@example([(16, True), (13, True), (12, True), (13, True), (12, True), (13, True)])
@settings(max_examples=60)
def test_torn_again_and_again_it_is_never_locked(desk: Desk, kills: list[Kill]) -> None:
    card = Card()
    for kill in kills:
        try:
            issue(desk, card, kill)
        except CardTorn:
            pass
        except PukUnknown:
            undo(desk, card)
            expect_blank(card)
        expect_not_locked(card)
    try:
        issue(desk, card)
    except PukUnknown:
        undo(desk, card)
        expect_blank(card)
        issue(desk, card)
    expect_whole(desk, card)


def test_a_puk_that_nobody_can_tell_ends_in_a_blank_card(desk: Desk) -> None:
    """Torn at the very exchange that changes the PUK, until guessing on would risk the last try."""
    card = Card()
    while tear_at_change(desk, card):
        expect_not_locked(card)
    undo(desk, card)
    expect_blank(card)
    issue(desk, card)
    expect_whole(desk, card)


def tear_at_change(desk: Desk, card: Card) -> bool:
    """Whether it was torn there; else it is given up."""

    class AtPuk(Tearing):
        def transmit(self, apdu: bytes) -> bytes:
            if apdu[1] == Ins.CHANGE_REFERENCE_DATA:
                raise CardTorn("torn before the card had the command")
            return super().transmit(apdu)

    try:
        issue_at(desk, AtPuk(held(card)), HOLDER, Pin(PIN))
    except CardTorn:
        return True
    except PukUnknown:
        return False
    raise AssertionError("no CHANGE REFERENCE DATA was sent")


def test_a_card_whose_puk_is_not_the_factorys_is_given_back_as_it_was(desk: Desk) -> None:
    card = Card()
    card.puk.value = b"11223344"
    with pytest.raises(PukUnknown):
        issue(desk, card)
    undo(desk, card)
    assert (card.guid, card.objects, card.puk.value) == (None, {}, b"11223344")
    assert card.puk.left == 2


@pytest.mark.parametrize(("value", "left"), [(b"11223344", 3), (None, 0)])
def test_a_card_whose_puk_others_have_spoilt_can_still_be_taken_back(
    desk: Desk, value: bytes | None, left: int
) -> None:
    card = Card()
    issue(desk, card)
    card.puk.value, card.puk.left = value or card.puk.value, left
    with pytest.raises((PukUnknown, CardBlocked)):
        issue(desk, card)
    undo(desk, card)
    expect_blank(card)


def test_a_card_with_another_management_key_is_not_touched(desk: Desk) -> None:
    card = Card()
    card.management_key = bytes(24)
    begun = sum(1 for _ in desk.book.all())
    with pytest.raises(CardUnfit, match="management key"):
        issue(desk, card)
    assert (card.guid, card.objects) == (None, {})
    assert sum(1 for _ in desk.book.all()) == begun


def test_a_card_that_its_holder_has_is_not_taken_back(desk: Desk) -> None:
    card = Card()
    issued = issue_at(desk, held(card), HOLDER, Pin(PIN))
    desk.book.given(issued.guid)
    for work in (undo, issue):
        with pytest.raises(ProvisioningError, match=HOLDER):
            work(desk, card)
    record = desk.book.recall(issued.guid)
    assert record is not None
    assert record.stage is Stage.GIVEN


def test_a_blank_card_cannot_be_taken_back(desk: Desk) -> None:
    with pytest.raises(NotOurCard):
        undo(desk, Card())
