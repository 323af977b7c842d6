"""A card's standing: found by GUID or holder, ended for good but once, replaced in one change."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.certificates import spki
from contract.directory import Credential, Entitlement, EntryKind, Name, Slot, Status
from contract.ids import Guid, HolderId, Version
from contract.signing import Algorithm
from contract.wire import encode_base64
from provisioning.cards import giving, standing
from provisioning.directory import entries, ledger
from provisioning.directory.entries import Holder, IssuedCard
from provisioning.errors import BadInput, NotThere, StatusIsFinal
from provisioning.site import keys
from provisioning.site.folder import SiteFolder

NOW_MS = 1_767_225_600_000
AMAL = Holder(HolderId("h-amal"), Name(full="Amal Haddad", short="Amal", initials="AH"), ())


def card(guid: str) -> IssuedCard:
    key = encode_base64(spki(keys.p256().public_key()))
    return IssuedCard(
        Guid(guid * 16),
        (Credential(slot=Slot.CARD_AUTHENTICATION, algorithm=Algorithm.P256, key=key),),
    )


def entitled(guid: str, status: Status = Status.ACTIVE) -> Entitlement:
    return entries.restate(entries.entitle(card(guid), AMAL, NOW_MS), status)


class Directory:
    """A register of these entitlements."""

    def __init__(self, *held: Entitlement) -> None:
        self.held = {one.guid: one for one in held}

    def entitlement(self, guid: str) -> Entitlement | None:
        return self.held.get(Guid(guid))

    def cards_of(self, holder: str) -> list[Entitlement]:
        return [one for one in self.held.values() if one.holder == holder]

    def entries(self, at: Version | None = None, kind: EntryKind | None = None) -> Iterator[bytes]:
        return (one.to_bytes() for one in self.held.values())


@pytest.fixture
def folder(tmp_path: Path) -> SiteFolder:
    return SiteFolder(tmp_path)


def test_a_card_is_found_by_its_guid_or_by_whose_it_is(folder: SiteFolder) -> None:
    old, new, unpublished = entitled("1a", Status.REVOKED), entitled("1b"), entitled("1c")
    ledger.remember(folder, [unpublished])
    register = Directory(old, new)
    assert standing.find(register, folder, old.guid) == old
    assert standing.find(register, folder, "h-amal") == new
    assert standing.find(register, folder, unpublished.guid) == unpublished
    with pytest.raises(NotThere):
        standing.find(register, folder, "h-bo")
    with pytest.raises(NotThere):
        standing.find(register, folder, "ab" * 16)


def test_with_two_cards_in_use_the_holder_alone_does_not_say_which(folder: SiteFolder) -> None:
    register = Directory(entitled("1a", Status.SUSPENDED), entitled("1b"))
    with pytest.raises(BadInput, match="by its GUID") as asked:
        standing.find(register, folder, "h-amal")
    assert "1a" * 16 in str(asked.value)
    assert "1b" * 16 in str(asked.value)


def test_suspension_alone_is_lifted() -> None:
    suspended = standing.change(entitled("1a"), Status.SUSPENDED, NOW_MS)
    assert standing.change(suspended, Status.ACTIVE, NOW_MS).status is Status.ACTIVE
    for final in (Status.REVOKED, Status.LOST):
        for back in (Status.ACTIVE, Status.SUSPENDED):
            with pytest.raises(StatusIsFinal):
                standing.change(entitled("1a", final), back, NOW_MS)
    revoked = entitled("1a", Status.REVOKED)
    assert standing.change(revoked, Status.LOST, NOW_MS).status is Status.LOST


def test_a_restored_card_begins_anew_so_that_an_old_pin_counts_no_longer() -> None:
    later_ms = NOW_MS + 600_500
    suspended = standing.change(entitled("1a"), Status.SUSPENDED, later_ms)
    assert suspended.not_before_ms == NOW_MS
    assert standing.change(suspended, Status.ACTIVE, later_ms).not_before_ms == later_ms - 500
    # Publishing an active card once more is no restoring.
    assert standing.change(entitled("1a"), Status.ACTIVE, later_ms).not_before_ms == NOW_MS


def test_a_known_guid_and_a_known_key_are_told() -> None:
    first, other = entitled("1a", Status.REVOKED), card("1b")
    register = Directory(first)
    assert standing.known(register, other.guid, other.credentials) is None
    assert "h-amal's, revoked" in (standing.known(register, first.guid, other.credentials) or "")
    assert "key is on h-amal" in (standing.known(register, other.guid, first.credentials) or "")


@pytest.mark.parametrize(
    ("lost", "asked", "ended"),
    [(False, Status.SUSPENDED, Status.REVOKED), (True, Status.LOST, Status.LOST)],
)
def test_the_old_card_is_out_of_use_before_the_new_one_is_made_and_for_good_after(
    *, lost: bool, asked: Status, ended: Status
) -> None:
    sent: list[Entitlement] = []

    def send(*changed: Entitlement) -> dict[str, object]:
        sent.extend(changed)
        return {}

    old = giving.withdraw(send, entitled("1a"), NOW_MS, lost=lost)
    assert [one.status for one in sent] == [asked]
    assert giving.withdraw(send, old, NOW_MS, lost=lost) == old
    assert len(sent) == 1
    new, end = standing.replaced(old, card("1b"), NOW_MS)
    assert (new.guid, new.status, new.holder) == ("1b" * 16, Status.ACTIVE, "h-amal")
    assert (new.name, new.positions) == (old.name, old.positions)
    assert (end.guid, end.status) == (old.guid, ended)
