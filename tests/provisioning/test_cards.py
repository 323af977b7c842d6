"""A blank card becomes somebody's; a card that lies or is not gated by its PIN is found out."""

from __future__ import annotations

from pathlib import Path

import pytest

from contract.directory import Slot
from contract.ids import SiteId, WardId
from contract.policy import GraceScope, Policy
from hardware.piv import Pin
from hardware.virtual.applet import Quirks
from hardware.virtual.behaviour import Behaviour
from hardware.virtual.card import Card
from hardware.virtual.powered import PoweredCard
from provisioning.cards import issue_card
from provisioning.entries import entitle, read_holder, read_policy
from provisioning.errors import BadInput, CardUnfit
from provisioning.site import SiteFolder, init_site
from runtime.clock import SystemClock

CLOCK = SystemClock()
HOLDER = (
    b'{"holder":"h-amal","name":{"full":"Amal Haddad","short":"Amal H.","initials":"AH"},'
    b'"positions":[{"id":"ed-nurse","role":"R8001","name":"Nurse","areas":[]}]}'
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> SiteFolder:
    folder = SiteFolder(tmp_path_factory.mktemp("cards") / "site")
    init_site(folder, SiteId("st-elsewhere"), ("127.0.0.1",), None, CLOCK.wall_ms())
    return folder


def test_an_issued_card_carries_what_its_entitlement_says(site: SiteFolder) -> None:
    card = Card()
    issued = issue_card(PoweredCard(card, Behaviour()), site, "h-amal", Pin("274913"), CLOCK)
    guid = card.guid
    assert guid is not None
    assert issued.guid == guid.hex()
    assert {c.slot: c.pin_gated for c in issued.credentials} == {
        Slot.CARD_AUTHENTICATION: False,
        Slot.PIV_AUTHENTICATION: True,
    }
    entitlement = entitle(issued, read_holder(HOLDER), CLOCK.wall_ms())
    assert entitlement.holder == "h-amal"
    assert entitlement.guid == issued.guid


def test_a_card_that_is_somebodys_is_left_alone(site: SiteFolder) -> None:
    card = Card()
    issue_card(PoweredCard(card, Behaviour()), site, "h-amal", Pin("274913"), CLOCK)
    guid = card.guid
    with pytest.raises(CardUnfit, match="not blank"):
        issue_card(PoweredCard(card, Behaviour()), site, "h-bo", Pin("551900"), CLOCK)
    assert card.guid == guid


def test_an_ungated_9a_is_recorded_as_such(site: SiteFolder) -> None:
    behaviour = Behaviour(quirks=Quirks(ungated_9a=True))
    issued = issue_card(PoweredCard(Card(), behaviour), site, "h-amal", Pin("274913"), CLOCK)
    gates = {c.slot: c.pin_gated for c in issued.credentials}
    assert gates[Slot.PIV_AUTHENTICATION] is False


def test_a_card_that_takes_any_pin_is_not_issued(site: SiteFolder) -> None:
    behaviour = Behaviour(quirks=Quirks(any_pin=True))
    with pytest.raises(CardUnfit, match="wrong PIN"):
        issue_card(PoweredCard(Card(), behaviour), site, "h-amal", Pin("274913"), CLOCK)


def test_the_cards_secrets_are_kept_before_the_card_changes(site: SiteFolder) -> None:
    card = Card()
    issued = issue_card(PoweredCard(card, Behaviour()), site, "h-amal", Pin("274913"), CLOCK)
    kept: Path = site.authority / "cards" / f"{issued.guid}.json"
    assert card.management_key.hex() in kept.read_text()
    assert kept.stat().st_mode & 0o777 == 0o600


def test_a_policy_that_no_terminal_serves_yet_is_not_published() -> None:
    policy = Policy(ward=WardId("ed"), salt="5a" * 16, grace_scope=GraceScope.WARD)
    with pytest.raises(BadInput, match="grace_scope"):
        read_policy(policy.to_bytes())


def test_a_holders_file_is_taken_whole_or_not_at_all() -> None:
    with pytest.raises(BadInput, match="positions"):
        read_holder(HOLDER.replace(b'"areas"', b'"wards"'))
