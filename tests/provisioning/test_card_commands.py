"""A card's whole life by `tapover card`, on a real pcscd, against a real gateway."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.ward.people import LEAD
from benchmarks.ward.site import OPERATOR, Ward
from hardware.virtual.card import Card, padded
from hardware.virtual.names import Access, Algorithm
from hardware.virtual.sample import personalised
from provisioning.directory import ledger
from provisioning.directory.publish import Gateway, Operator, publish
from runtime.clock import SystemClock
from tests.provisioning.at_desk import COMMAND_S, CardDesk, Held, holder

PIN, NEW_PIN = "471902", "806152"


def issue(desk: CardDesk, card: Path, number: int, pin: str = PIN) -> dict[str, Any]:
    made = ("issue", "--holder", desk.holder(number), *desk.signed)
    return desk.answer(*made, card=card, pin=pin)


def test_a_blank_card_is_issued_and_its_holder_can_be_named(desk: CardDesk, blank: Path) -> None:
    issue_it = ("issue", "--holder", desk.holder(1), *desk.signed)
    assert desk.answer(*issue_it, "--dry-run", card=blank)["card"] == "blank"
    assert Card.load(blank).guid is None
    issued = issue(desk, blank, 1)
    assert issued["pin_gated"] is True
    looked = desk.answer("inspect", *desk.folder, card=blank)
    assert (looked["holder"], looked["status"], looked["made"]) == ("h-1", "active", "given")
    assert issued["guid"] == (Card.load(blank).guid or b"").hex()
    # By the holder's id, for whoever does not know a card's GUID by heart.
    assert desk.answer("suspend", "h-1", *desk.signed)["status"] == "suspended"
    assert desk.answer("restore", "h-1", *desk.signed)["status"] == "active"
    tried = desk.answer("revoke", "h-1", "--dry-run", *desk.signed)
    assert (tried["was"], tried["status"]) == ("active", "revoked")
    desk.refused(108, "revoke", "h-1", *desk.signed)
    assert desk.answer("revoke", "h-1", "--yes", *desk.signed)["status"] == "revoked"
    assert "revoked" in desk.refused(308, "restore", issued["guid"], *desk.signed)
    assert desk.answer("lost", issued["guid"], *desk.signed)["status"] == "lost"


def test_what_another_operator_changed_is_kept(
    desk: CardDesk, desk_ward: Ward, blank: Path
) -> None:
    """A card's standing is changed in the directory as it is, not as this folder remembers it."""
    issued = issue(desk, blank, 11)
    before = ledger.recall_entitlement(desk_ward.site, issued["guid"])
    moved = before.model_copy(update={"positions": (*before.positions, LEAD), "salt": "5b" * 16})
    where = Gateway(desk_ward.site.site, "127.0.0.1", desk_ward.admin_port)
    ca = desk_ward.site.gateway / "operator_ca.crt.pem"
    ines = Operator(OPERATOR, desk_ward.site.operator(OPERATOR), ca)
    publish(where, ines, [moved], SystemClock().wall_ms())
    desk.answer("suspend", "h-11", *desk.signed)
    after = ledger.recall_entitlement(desk_ward.site, issued["guid"])
    assert (after.status, after.positions) == ("suspended", moved.positions)


def test_a_trivial_pin_is_refused_before_the_card_is_touched(desk: CardDesk, blank: Path) -> None:
    made = ("issue", "--holder", desk.holder(2), *desk.signed)
    assert "sequence" in desk.refused(301, *made, card=blank, pin="345678")
    assert Card.load(blank).guid is None


def test_a_torn_card_is_finished_or_taken_back_by_command(desk: CardDesk, blank: Path) -> None:
    made = ("issue", "--holder", desk.holder(3), *desk.signed)
    torn = Held(card=blank, pin=PIN, faults=("torn:after=20",))
    assert "present the card again" in desk.refused(110, *made, **torn)
    guid = Card.load(blank).guid
    assert guid is not None
    others = ("issue", "--holder", desk.holder(4), *desk.signed)
    assert "begun for h-3" in desk.refused(302, *others, card=blank, pin=PIN)
    desk.refused(108, "undo", *desk.folder, card=blank)
    assert desk.answer("undo", *desk.folder, "--yes", card=blank)["blank"] is True
    assert (Card.load(blank).guid, Card.load(blank).objects) == (None, {})
    desk.refused(110, *made, **torn)
    assert issue(desk, blank, 3)["guid"] != guid.hex()


def test_a_lost_card_is_replaced(
    desk: CardDesk, desk_ward: Ward, blank: Path, tmp_path: Path
) -> None:
    old = issue(desk, blank, 5)["guid"]
    new = tmp_path / "new.json"
    Card.create(new)
    replace = ("replace", "h-5", "--lost", *desk.signed)
    # No card lies ready: the old one is out of use all the same.
    desk.refused(110, *replace, "--reader", desk.pcscd.readers[0].name, pin=PIN)
    assert ledger.recall_entitlement(desk_ward.site, old).status == "lost"
    replaced = desk.answer("replace", old, "--lost", *desk.signed, card=new, pin=PIN)
    assert (replaced["replaces"], replaced["holder"]) == (old, "h-5")
    assert ledger.recall_entitlement(desk_ward.site, old).status == "lost"
    fresh = ledger.recall_entitlement(desk_ward.site, replaced["guid"])
    assert (fresh.status, fresh.positions[0].id) == ("active", "ed-nurse")


@pytest.mark.full
def test_a_worn_card_is_suspended_first_and_revoked_by_the_new_one(
    desk: CardDesk, desk_ward: Ward, blank: Path, tmp_path: Path
) -> None:
    old = issue(desk, blank, 6)["guid"]
    new = tmp_path / "new.json"
    Card.create(new)
    torn = ("torn:after=20",)
    replace = ("replace", old, *desk.signed)
    desk.refused(110, *replace, card=new, pin=PIN, faults=torn)
    assert ledger.recall_entitlement(desk_ward.site, old).status == "suspended"
    desk.answer(*replace, card=new, pin=PIN)
    assert ledger.recall_entitlement(desk_ward.site, old).status == "revoked"


def test_a_blocked_pin_is_unlocked(desk: CardDesk, blank: Path) -> None:
    issue(desk, blank, 7)
    card = Card.load(blank)
    puk, card.pin.left = card.puk.value, 0
    card.save()
    desk.refused(301, "unlock", *desk.folder, card=blank, pin="111111")
    desk.answer("unlock", *desk.folder, card=blank, pin=NEW_PIN)
    unlocked = Card.load(blank)
    assert (unlocked.pin.value, unlocked.pin.left) == (padded(NEW_PIN.encode()), 3)
    assert unlocked.puk.value != puk


def test_a_card_is_renewed(desk: CardDesk, desk_ward: Ward, blank: Path) -> None:
    guid = issue(desk, blank, 8)["guid"]
    before = ledger.recall_entitlement(desk_ward.site, guid)
    objects = Card.load(blank).objects
    assert desk.answer("renew", *desk.signed, "--dry-run", card=blank, pin=PIN)["guid"] == guid
    assert Card.load(blank).objects == objects
    renewed = desk.answer("renew", *desk.signed, card=blank, pin=PIN)
    assert renewed["not_after_ms"] > before.not_after_ms
    assert ledger.recall_entitlement(desk_ward.site, guid).not_after_ms == renewed["not_after_ms"]
    assert Card.load(blank).objects != objects
    desk.refused(306, "renew", *desk.signed, card=blank, pin=NEW_PIN)


def test_a_foreign_card_is_enrolled_once_and_a_bad_one_never(
    desk: CardDesk, tmp_path: Path
) -> None:
    foreign = tmp_path / "foreign.json"
    made = personalised(
        pin=PIN.encode(), algorithm=Algorithm.RSA_2048, certificates=True, path=foreign
    )
    enrol = ("enrol", "--holder", desk.holder(9), *desk.signed)
    desk.refused(104, *enrol, card=foreign, pin=PIN, faults=("ungated-9a",))
    desk.refused(104, *enrol, card=foreign, pin=PIN, faults=("any-pin",))
    assert desk.answer(*enrol, "--dry-run", card=foreign, pin=PIN)["pin_gated"] is True
    enrolled = desk.answer(*enrol, card=foreign, pin=PIN)
    assert enrolled["pin_gated"] is True
    assert "version" in enrolled
    assert "h-9" in desk.refused(307, *enrol, card=foreign, pin=PIN)
    after = Card.load(foreign)
    assert (after.objects, after.puk.value) == (made.objects, made.puk.value)
    assert after.pin.left == 3
    desk.refused(303, "unlock", *desk.folder, card=foreign, pin=NEW_PIN)
    issued = ("issue", "--holder", desk.holder(10), *desk.signed)
    assert "not blank" in desk.refused(104, *issued, card=foreign, pin=PIN)


@pytest.mark.parametrize(
    ("access", "interface", "pin"),
    [
        (Access.CONTACT, "contact", True),
        (Access.CONTACTLESS_STRICT, "contactless", False),
        (Access.CONTACTLESS_LENIENT, "contactless", True),
    ],
)
def test_a_card_is_inspected(
    desk: CardDesk, tmp_path: Path, access: Access, interface: str, *, pin: bool
) -> None:
    card = tmp_path / "any.json"
    personalised(certificates=True, path=card)
    told = desk.answer("inspect", card=card, access=access)
    assert told["interface"] == interface
    assert (told["tap"]["works"], told["pin"]["works"]) == (True, pin)


def test_a_list_is_issued_one_after_another(
    desk: CardDesk, desk_ward: Ward, tmp_path: Path
) -> None:
    (tmp_path / "list").write_text("\n".join(json.dumps(holder(n)) for n in (20, 21)))
    letters = tmp_path / "letters"
    reader = desk.rested()
    listed = ("issue", "--batch", str(tmp_path / "list"), "--letters", str(letters), *desk.signed)
    command = desk.start(*listed, "--json", reader=reader.name)
    said: list[str] = []
    assert command.stderr is not None
    cards = [tmp_path / "20.json", tmp_path / "21.json"]
    for card in cards:
        Card.create(card)
    left = iter(cards)
    for line in command.stderr:
        said.append(line)
        if "put a blank card" in line:
            desk.box.insert(reader.port, next(left))
        if "Take the card out" in line:
            desk.box.remove(reader.port)
    out, _ = command.communicate(timeout=COMMAND_S)
    assert command.returncode == 0, said
    assert [one["holder"] for one in json.loads(out)["issued"]] == ["h-20", "h-21"]
    pins = [json.loads(line)["pin"] for line in letters.read_text().splitlines()]
    assert [padded(pin.encode()) for pin in pins] == [Card.load(card).pin.value for card in cards]
    assert not any(pin in line for pin in pins for line in said)
    again = desk.answer(*listed, "--reader", reader.name)
    assert again == {"issued": [], "holders": 2}


@pytest.mark.full
def test_the_master_key_may_be_kept_elsewhere(desk: CardDesk, desk_ward: Ward, blank: Path) -> None:
    kept = desk_ward.site.authority / "card_master.key"
    away = desk.papers / "master"
    kept.rename(away)
    try:
        made = ("issue", "--holder", desk.holder(30), *desk.signed)
        assert "card_master.key" in desk.refused(102, *made, card=blank, pin=PIN)
        desk.answer(*made, "--master-file", str(away), card=blank, pin=PIN)
    finally:
        away.rename(kept)
