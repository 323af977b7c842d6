"""Spares and the night's PUKs by `tapover card`, on a real pcscd, against a real gateway."""

from __future__ import annotations

from pathlib import Path

from benchmarks.ward.site import Ward
from contract.ids import Guid
from gateway.help import spares as judged
from gateway.settings import GatewaySettings
from gateway.store import Store
from hardware.virtual.card import Card, padded
from runtime.settings import load
from tests.provisioning.at_desk import CardDesk

PIN, NEW_PIN = "471902", "806152"


def test_a_blank_card_becomes_a_spare_and_a_used_one_a_spare_again(
    desk: CardDesk, desk_ward: Ward, blank: Path
) -> None:
    guest = desk.papers / "guest.json"
    guest.write_text('{"id": "ed-guest", "role": "R8001", "name": "Guest nurse"}')
    made = ("spare", "--ward", "ed", "--guest", str(guest), *desk.signed)
    told = desk.answer(*made, card=blank, pin=PIN)
    assert (told["wards"], told["guest"]) == (["ed"], True)
    assert told["guid"] == (Card.load(blank).guid or b"").hex()
    again = desk.answer(*made, card=blank, pin=NEW_PIN)
    assert again["guid"] == told["guid"]
    assert Card.load(blank).pin.value == padded(NEW_PIN.encode())
    store = Store.open(load(GatewaySettings, desk_ward.folder / "gateway.toml").database_url)
    try:
        with store.read() as tx:
            found = judged.spare_of(tx, Guid(told["guid"]))
            assert judged.card_of(tx, Guid(told["guid"])) is None
    finally:
        store.close()
    assert found is not None
    assert found.wards == ("ed",)


def test_somebodys_own_card_is_no_spare(desk: CardDesk, blank: Path) -> None:
    issued = desk.answer("issue", "--holder", desk.holder(31), *desk.signed, card=blank, pin=PIN)
    assert issued["holder"] == "h-31"
    assert "h-31" in desk.refused(302, "spare", *desk.signed, card=blank, pin=PIN)


def test_the_gateway_is_given_each_puk_once(desk: CardDesk, blank: Path) -> None:
    desk.answer("issue", "--holder", desk.holder(32), *desk.signed, card=blank, pin=PIN)
    first = desk.answer("escrows", *desk.signed)
    assert first["deposited"] >= 1
    assert desk.answer("escrows", *desk.signed) == {"deposited": 0, "taken_over": 0}
