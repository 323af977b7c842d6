"""`tapover card issue` killed, or the card torn away, at each exchange, on a real pcscd.

A process is killed from outside while the card keeps it waiting: exchange N never reaches an answer
(`hung`), so the card has done exactly those before it. A torn card did exchange N, and was gone
before it answered. Then the same command again. A few exchanges in the quick set, all in the full.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.ward.site import Ward
from hardware.virtual.card import Card
from provisioning.cards.desk import Desk
from provisioning.cards.journal import Stage
from provisioning.directory import ledger
from runtime.clock import SystemClock
from tests.provisioning.at_desk import SEEN_S, CardDesk
from tests.provisioning.torn import expect_whole

PIN = "471902"
EXCHANGES = 34
"""Of an issuance; the last test here shows that there are no more."""
QUICK = (12, 25)
"""The change of the PUK, which cannot be looked at; the replacing of the management key."""


def finish(desk_ward: Ward, desk: CardDesk, card: Path, number: int) -> None:
    """The same command again; then all of it holds, of this card and of all before it."""
    made = ("issue", "--holder", desk.holder(number), *desk.signed)
    answer = desk.answer(*made, card=card, pin=PIN)
    authority = Desk.open(desk_ward.site, SystemClock())
    expect_whole(authority, Card.load(card), PIN, Stage.GIVEN)
    assert ledger.recall_entitlement(desk_ward.site, answer["guid"]).holder == f"h-{number}"
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
    desk_ward: Ward, desk: CardDesk, blank: Path, at: int
) -> None:
    with desk.holding(blank, faults=(f"hung:at={at}",)) as reader:
        made = ("issue", "--holder", desk.holder(1000 + at), *desk.signed)
        (desk.papers / "first-pin").write_text(PIN + "\n")
        pin = ("--pin-file", str(desk.papers / "first-pin"))
        command = desk.start(*made, *pin, reader=reader.name)
        assert desk_ward.box.wait(blank, 10 * SEEN_S, exchanges=at - 1)
        command.kill()
        command.communicate()
    assert Card.load(blank).puk.left > 0
    finish(desk_ward, desk, blank, 1000 + at)


@every
def test_the_card_torn_away_in_an_exchange(
    desk_ward: Ward, desk: CardDesk, blank: Path, at: int
) -> None:
    made = ("issue", "--holder", desk.holder(2000 + at), *desk.signed)
    torn = (f"torn:after={at - 1}",)
    desk.refused(110, *made, card=blank, pin=PIN, faults=torn)
    assert Card.load(blank).puk.left > 0
    finish(desk_ward, desk, blank, 2000 + at)


def test_an_issuance_has_no_more_exchanges_than_are_tried(
    desk_ward: Ward, desk: CardDesk, blank: Path
) -> None:
    made = ("issue", "--holder", desk.holder(3000), *desk.signed)
    desk.answer(*made, card=blank, pin=PIN, faults=(f"torn:after={EXCHANGES}",))
    assert len(desk_ward.box.log(blank)["exchanges"]) == EXCHANGES
