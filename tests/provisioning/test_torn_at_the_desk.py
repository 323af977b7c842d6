"""`tapover card issue` killed, or the card torn away, at each exchange, on a real pcscd.

A process is killed from outside while the card keeps it waiting: exchange N never reaches an answer
(`hung`), so the card has done exactly those before it. A torn card did exchange N, and was gone
before it answered. Then the same command again. A few exchanges in the quick set, all in the full.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.ward.pcscd import Pcscd
from benchmarks.ward.site import OPERATOR, Ward
from hardware.virtual.card import Card
from provisioning import ledger
from provisioning.card_desk import Desk
from provisioning.card_journal import Stage
from runtime.clock import SystemClock
from tests.provisioning.at_desk import SEEN_S, CardDesk
from tests.provisioning.torn import expect_whole

PIN = "471902"
PAIRS = ("Desk Contact", "Second Contact", "Third Contact")
EXCHANGES = 34
"""Of an issuance; the last test here shows that there are no more."""
QUICK = (12, 25)
"""The change of the PUK, which cannot be looked at; the replacing of the management key."""


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    with Ward(tmp_path_factory.mktemp("w") / "ward", terminals=(), staff=()) as ward:
        yield ward


@pytest.fixture(scope="module")
def desk(ward: Ward, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CardDesk]:
    folder = ("--folder", str(ward.site.path))
    gateway = ("--as", OPERATOR, "--gateway", f"127.0.0.1:{ward.admin_port}")
    with Pcscd(ward.ports, PAIRS) as pcscd:
        papers = tmp_path_factory.mktemp("papers")
        (papers / "pin").write_text(PIN + "\n")
        yield CardDesk(pcscd, ward.box, (*folder, *gateway), folder, papers)


@pytest.fixture
def blank(tmp_path: Path) -> Path:
    path = tmp_path / "card.json"
    Card.create(path)
    return path


def finish(ward: Ward, desk: CardDesk, card: Path, number: int) -> None:
    """The same command again; then all of it holds, of this card and of all before it."""
    made = ("issue", "--holder", desk.holder(number), *desk.signed)
    answer = desk.answer(*made, card=card, pin=PIN)
    authority = Desk.open(ward.site, SystemClock())
    expect_whole(authority, Card.load(card), PIN, Stage.GIVEN)
    assert ledger.recall_entitlement(ward.site, answer["guid"]).holder == f"h-{number}"
    given = [one.guid for one in authority.book.all() if one.stage is Stage.GIVEN]
    assert len(given) == len(set(given))


every = pytest.mark.parametrize(
    "at",
    [
        pytest.param(at, marks=[] if at in QUICK else pytest.mark.full)
        for at in range(1, EXCHANGES + 1)
    ],
)


@every
def test_the_process_killed_at_an_exchange(
    ward: Ward, desk: CardDesk, blank: Path, at: int
) -> None:
    with desk.holding(blank, faults=(f"hung:at={at}",)) as reader:
        made = ("issue", "--holder", desk.holder(at), *desk.signed)
        pin = ("--pin-file", str(desk.papers / "pin"))
        command = desk.start(*made, *pin, reader=reader.name)
        assert ward.box.wait(blank, 10 * SEEN_S, exchanges=at - 1)
        command.kill()
        command.communicate()
    assert Card.load(blank).puk.left > 0
    finish(ward, desk, blank, at)


@every
def test_the_card_torn_away_in_an_exchange(
    ward: Ward, desk: CardDesk, blank: Path, at: int
) -> None:
    made = ("issue", "--holder", desk.holder(100 + at), *desk.signed)
    torn = (f"torn:after={at - 1}",)
    desk.refused(110, *made, card=blank, pin=PIN, faults=torn)
    assert Card.load(blank).puk.left > 0
    finish(ward, desk, blank, 100 + at)


def test_an_issuance_has_no_more_exchanges_than_are_tried(
    ward: Ward, desk: CardDesk, blank: Path
) -> None:
    made = ("issue", "--holder", desk.holder(0), *desk.signed)
    desk.answer(*made, card=blank, pin=PIN, faults=(f"torn:after={EXCHANGES}",))
    assert len(ward.box.log(blank)["exchanges"]) == EXCHANGES
