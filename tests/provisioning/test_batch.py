"""Cards one after another: whoever has one is passed over, whatever cut the batch off."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from contract.directory import Entitlement
from contract.ids import SiteId
from hardware.apdu import CardChannel
from hardware.piv import Pin
from hardware.virtual.applet import Quirks
from hardware.virtual.card import Card, padded
from provisioning.cards.batch import Batch, PinLetters, read_holders, with_cards
from provisioning.cards.desk import Desk
from provisioning.directory.entries import Holder
from provisioning.errors import BadInput, GatewayAway, NotThere
from provisioning.site.folder import SiteFolder, init_site
from runtime.clock import SystemClock
from tests.provisioning.torn import Tearing, held

T = TypeVar("T")


def line(number: int) -> bytes:
    name = {"full": f"Person {number}", "short": f"P{number}", "initials": "P"}
    return json.dumps({"holder": f"h-{number}", "name": name, "positions": []}).encode()


def people(count: int) -> list[Holder]:
    return read_holders(b"\n".join(line(number) for number in range(count)))


class Stack:
    """A person with a stack of cards: each is put in once, and may be torn away at an exchange."""

    def __init__(self, cards: list[tuple[Card, int | None]], quirks: Quirks | None = None) -> None:
        self._cards: Iterator[tuple[Card, int | None]] = iter(cards)
        self._quirks = quirks or Quirks()
        self._in: tuple[Card, int | None] | None = None

    def wait_card(self) -> None:
        assert self._in is None, "the last card was never taken out"
        self._in = next(self._cards, None)
        if self._in is None:
            raise NotThere("no card was put into the reader")

    def wait_empty(self) -> None:
        self._in = None

    def with_card(self, work: Callable[[CardChannel], T]) -> T:
        assert self._in is not None
        card, at = self._in
        return work(Tearing(held(card, self._quirks), at))


class Gateway:
    """Keeps what was published; may be away."""

    def __init__(self) -> None:
        self.published: list[Entitlement] = []
        self.away = False

    def __call__(self, entitlement: Entitlement) -> None:
        if self.away:
            raise GatewayAway("no answer")
        self.published.append(entitlement)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    folder, clock = SiteFolder(tmp_path / "site"), SystemClock()
    init_site(folder, SiteId("st-elsewhere"), ("127.0.0.1",), None, clock.wall_ms())
    return Desk.open(folder, clock)


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


def batch(desk: Desk, gateway: Gateway, stack: Stack, told: list[str] | None = None) -> Batch:
    words = [] if told is None else told
    return Batch(desk, stack, gateway, lambda _holder: Pin("471902"), words.append)


def test_each_on_the_list_gets_one_card(desk: Desk, gateway: Gateway) -> None:
    cards = [Card() for _ in range(3)]
    made = batch(desk, gateway, Stack([(card, None) for card in cards])).run(people(3))
    assert [one.holder for one in made] == ["h-0", "h-1", "h-2"]
    assert [one.guid for one in made] == [(card.guid or b"").hex() for card in cards]
    assert gateway.published == made


def test_a_batch_cut_off_goes_on_with_those_who_have_none(desk: Desk, gateway: Gateway) -> None:
    with pytest.raises(NotThere):
        batch(desk, gateway, Stack([(Card(), None)])).run(people(3))
    told: list[str] = []
    second = batch(desk, gateway, Stack([(Card(), None), (Card(), None)]), told)
    assert [one.holder for one in second.run(people(3))] == ["h-1", "h-2"]
    assert told[0].startswith("2 of 3, Person 1: put a blank card")
    assert len({one.guid for one in gateway.published}) == 3


def test_a_torn_card_put_in_again_is_finished(desk: Desk, gateway: Gateway) -> None:
    torn, told = Card(), list[str]()
    stack = Stack([(torn, 20), (torn, None), (Card(), None)])
    made = batch(desk, gateway, stack, told).run(people(2))
    assert [one.holder for one in made] == ["h-0", "h-1"]
    assert made[0].guid == (torn.guid or b"").hex()
    assert any("torn" in words for words in told)


def test_a_card_begun_for_another_on_the_list_is_finished_for_them(
    desk: Desk, gateway: Gateway
) -> None:
    begun = Card()
    with pytest.raises(NotThere):
        batch(desk, gateway, Stack([(begun, 20)])).run(people(3)[2:])
    made = batch(desk, gateway, Stack([(begun, None), (Card(), None), (Card(), None)])).run(
        people(3)
    )
    assert [one.holder for one in made] == ["h-2", "h-0", "h-1"]
    assert made[0].guid == (begun.guid or b"").hex()


def test_a_card_that_cannot_serve_is_told_of_and_another_taken(
    desk: Desk, gateway: Gateway
) -> None:
    somebodys, told = Card(), list[str]()
    batch(desk, gateway, Stack([(somebodys, None)])).run(people(1))
    made = batch(desk, gateway, Stack([(somebodys, None), (Card(), None)]), told).run(people(2))
    assert [one.holder for one in made] == ["h-1"]
    assert any("given for h-0" in words for words in told)


def test_an_ungated_card_is_nobodys(desk: Desk, gateway: Gateway) -> None:
    told = list[str]()
    stack = Stack([(Card(), None)], Quirks(ungated_9a=True))
    with pytest.raises(NotThere):
        batch(desk, gateway, stack, told).run(people(1))
    assert any("without a PIN" in words for words in told)
    assert not gateway.published
    assert not with_cards(desk)


def test_a_card_made_while_the_gateway_was_away_is_published_without_it(
    desk: Desk, gateway: Gateway
) -> None:
    gateway.away = True
    with pytest.raises(GatewayAway):
        batch(desk, gateway, Stack([(Card(), None)])).run(people(1))
    gateway.away = False
    assert batch(desk, gateway, Stack([])).run(people(1)) == []
    assert [one.holder for one in gateway.published] == ["h-0"]


def test_pins_are_drawn_into_letters_for_the_owner_alone(
    desk: Desk, gateway: Gateway, tmp_path: Path
) -> None:
    letters, cards = tmp_path / "letters", [Card(), Card()]
    stack = Stack([(card, None) for card in cards])
    drawn = PinLetters(letters).pin_for
    Batch(desk, stack, gateway, drawn, lambda _words: None).run(people(2))
    assert letters.stat().st_mode & 0o777 == 0o600
    lines = [json.loads(one) for one in letters.read_text().splitlines()]
    assert [padded(one["pin"].encode()) for one in lines] == [card.pin.value for card in cards]
    assert [one["holder"] for one in lines] == ["h-0", "h-1"]


def test_a_list_is_read_whole_or_refused_by_its_line() -> None:
    with pytest.raises(BadInput, match="line 2"):
        read_holders(line(0) + b"\n{}\n")
    with pytest.raises(BadInput, match="line 3: h-0 stands in the list twice"):
        read_holders(line(0) + b"\n\n" + line(0))
    with pytest.raises(BadInput, match="names nobody"):
        read_holders(b"\n\n")
