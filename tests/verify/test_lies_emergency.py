"""Break-glass in the log: in whose name it stands, by which proof, and in whose it cannot."""

from __future__ import annotations

from typing import Any

import pytest

from tests.verify.maker import Card, Journal
from tests.verify.signers import P256, Fields, Signer, b64, key_id
from tests.verify.story import Auditor, Ward, open_ward


@pytest.fixture
def ward() -> Ward:
    """Open, with a heartbeat held: ready for the first tap."""
    ward = open_ward()
    ward.terminal.hold()
    return ward


def opened(
    terminal: Journal, card: Card | None, proof: Fields | None = None, **lies: object
) -> None:
    """The event, and the session that rests on it."""
    detail: Fields = {
        "session": "5e" * 16,
        "position": "emergency",
        "reason": "RESUS",
        "state": "directory-stale",
        "read_only": False,
        "holder": card.holder if card else None,
        "guid": card.guid if card else None,
        "record": None,
        "proof": proof,
        "colleague": None,
        "colleague_record": None,
        "begins_ms": terminal.site.now_ms,
        "limit_s": 600,
        "kept": "journal",
    }
    terminal.event("break-glass.opened", **(detail | lies))


def session(terminal: Journal, holder: str, change: str = "opened") -> None:
    terminal.event(
        "session.changed",
        session="5e" * 16,
        holder=holder,
        position="emergency",
        change=change,
        cause="break-glass",
        ground="break-glass",
    )


def detached(
    ward: Ward,
    card: Card,
    signer: Signer | None = None,
    terminal: str = "bay-1",
    purpose: str = "tap",
    **lies: object,
) -> Fields:
    """A record that stands in no journal of the log, signed by the card (or by somebody else)."""
    nowhere = Journal(ward.site, terminal, ward.terminal.key)
    nowhere.heartbeat = ward.terminal.heartbeat
    event = nowhere.events[nowhere.record(card, purpose, **lies)]
    key = signer or card.nine_e
    return {
        "event": b64(event),
        "key": key_id(card.nine_e),
        "algorithm": card.nine_e.algorithm,
        "signature": b64(key.sign(b"tapover:card:v1\n" + event)),
    }


def test_by_a_record_of_the_journal_it_is_a_sign_on_like_any_other(
    auditor: Auditor, ward: Ward
) -> None:
    record = ward.terminal.record(ward.vogel)
    opened(ward.terminal, ward.vogel, record=record)
    ward.terminal.outcome(
        ward.vogel, record, session="5e" * 16, position="emergency", reason="break-glass"
    )
    session(ward.terminal, "h-vogel")
    ward.terminal.batch()
    said = auditor.accepts(ward.site)
    assert "1 claim to break-glass: a right of the ward's" in said
    assert "1 tap, each signed by the cardholder's own card" in said


def test_in_nobodys_name_it_is_said_that_no_card_proves_it(auditor: Auditor, ward: Ward) -> None:
    opened(ward.terminal, None, guid=ward.vogel.guid)
    session(ward.terminal, "unidentified")
    ward.terminal.batch()
    assert "1 claim to break-glass in nobody's name" in auditor.accepts(ward.site)


def test_by_a_record_that_no_journal_holds_the_card_is_proven_and_its_place_is_not(
    auditor: Auditor, ward: Ward
) -> None:
    opened(ward.terminal, ward.vogel, detached(ward, ward.vogel), kept="reserve")
    session(ward.terminal, "h-vogel")
    ward.terminal.batch()
    said = auditor.accepts(ward.site)
    assert "1 tap, each signed by the cardholder's own card" in said
    assert "by a tap that no journal could record" in said


def test_in_somebodys_name_without_a_proof_it_is_refused(auditor: Auditor, ward: Ward) -> None:
    opened(ward.terminal, ward.vogel)
    ward.terminal.batch()
    auditor.refuses(ward.site, "break-glass in a name that no card proves")


def test_a_record_that_the_card_did_not_sign_proves_nothing(auditor: Auditor, ward: Ward) -> None:
    opened(ward.terminal, ward.vogel, detached(ward, ward.vogel, signer=P256()))
    session(ward.terminal, "h-vogel")
    ward.terminal.batch()
    auditor.refuses(ward.site, "a card's signature that does not hold")


@pytest.mark.parametrize("lie", [{"terminal": "bay-2"}, {"purpose": "pin"}, {"guid": "6a" * 16}])
def test_another_terminals_or_another_cards_record_is_not_this_ones(
    auditor: Auditor, ward: Ward, lie: dict[str, Any]
) -> None:
    opened(ward.terminal, ward.vogel, detached(ward, ward.vogel, **lie))
    session(ward.terminal, "h-vogel")
    ward.terminal.batch()
    auditor.refuses(ward.site, "break-glass by another card's record")


def test_a_named_session_does_not_rest_on_nobodys_break_glass(auditor: Auditor, ward: Ward) -> None:
    opened(ward.terminal, None)
    session(ward.terminal, "h-vogel")
    ward.terminal.batch()
    auditor.refuses(ward.site, "without a card outcome of its own")


def test_a_record_of_break_glass_without_its_outcome_opens_nothing(
    auditor: Auditor, ward: Ward
) -> None:
    record = ward.terminal.record(ward.vogel)
    opened(ward.terminal, ward.vogel, record=record)
    session(ward.terminal, "h-vogel")
    ward.terminal.batch()
    auditor.refuses(ward.site, "without a card outcome of its own")


def test_a_tap_of_another_holder_is_refused(auditor: Auditor, ward: Ward) -> None:
    opened(ward.terminal, ward.vogel, detached(ward, ward.vogel), holder="h-ngata")
    session(ward.terminal, "h-ngata")
    ward.terminal.batch()
    auditor.refuses(ward.site, "an outcome for another holder than the directory's")


def heard(terminal: Journal, of: str, session: str = "5e" * 16) -> None:
    """Another terminal said so on its own topic."""
    terminal.event(
        "break-glass.heard",
        subject="ab" * 32,
        terminal=of,
        session=session,
        holder=None,
        guid=None,
        reason="RESUS",
        state="no-card",
        begins_ms=terminal.site.now_ms,
        kept="later",
    )


def test_what_a_terminal_lost_and_another_one_heard_is_said(auditor: Auditor, ward: Ward) -> None:
    heard(ward.terminal, "bay-2")
    ward.terminal.batch()
    said = auditor.accepts(ward.site)
    assert "bay-2: 1 claim to break-glass by another terminal's word alone" in said


def test_what_its_own_journal_tells_too_is_not(auditor: Auditor, ward: Ward) -> None:
    opened(ward.terminal, None)
    session(ward.terminal, "unidentified")
    heard(ward.terminal, "bay-1")
    ward.terminal.batch()
    assert "another terminal's word" not in auditor.accepts(ward.site)
