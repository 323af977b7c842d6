"""What a terminal with all its own keys cannot do: produce a tap by an absent card.

In each test the terminal (and the gateway behind it) signs a well-formed record of something that
did not happen. The cards sign nothing but what they are said to sign.
"""

from __future__ import annotations

import secrets

import pytest

from tests.verify.maker import Card
from tests.verify.signers import P256, Ed25519, Fields, Rsa2048, b64, digest, key_id
from tests.verify.story import Auditor, Ward, honest_ward, open_ward

CLAIMS = ["opened", "resumed", "closed-by-tap", "parked-by-tap", "still-you", "woken", "proved"]


@pytest.fixture
def ward() -> Ward:
    """Open, with a heartbeat held: ready for the first tap."""
    ward = open_ward()
    ward.terminal.hold()
    return ward


def test_the_same_ward_without_a_lie_is_accepted(auditor: Auditor, ward: Ward) -> None:
    ward.terminal.tap(ward.vogel)
    ward.terminal.batch()
    assert "1 tap, each signed by the cardholder's own card" in auditor.accepts(ward.site)


@pytest.mark.parametrize("result", CLAIMS)
@pytest.mark.parametrize("missing", ["signature", "key", "record"])
def test_no_claim_stands_without_record_key_and_signature(
    auditor: Auditor, ward: Ward, result: str, missing: str
) -> None:
    record = ward.terminal.record(ward.vogel)
    lie: Fields = {missing: None}
    ward.terminal.outcome(ward.vogel, record, result, **lie)
    ward.terminal.batch()
    auditor.refuses(ward.site, "without a card's signature")


@pytest.mark.parametrize("result", CLAIMS)
def test_a_tap_signed_by_the_terminals_own_keys_is_refused(
    auditor: Auditor, ward: Ward, result: str
) -> None:
    record = ward.terminal.record(ward.vogel)
    ward.terminal.outcome(ward.vogel, record, result, signer=ward.terminal.key)
    ward.terminal.batch()
    auditor.refuses(ward.site, "a key that was not this card's")


def test_a_terminals_signature_under_the_cards_key_id_is_refused(
    auditor: Auditor, ward: Ward
) -> None:
    record = ward.terminal.record(ward.vogel)
    ward.terminal.outcome(
        ward.vogel, record, signer=ward.terminal.key, key=key_id(ward.vogel.nine_e)
    )
    ward.terminal.batch()
    auditor.refuses(ward.site, "a card's signature that does not hold")


def test_another_cards_tap_is_not_this_cards(auditor: Auditor, ward: Ward) -> None:
    record = ward.terminal.record(ward.vogel)
    ward.terminal.outcome(ward.vogel, record, signer=ward.ngata.nine_e)
    ward.terminal.batch()
    auditor.refuses(ward.site, "a key that was not this card's")


def test_a_card_that_the_directory_never_had_is_refused(auditor: Auditor, ward: Ward) -> None:
    ward.terminal.tap(Card("h-nobody", P256(), P256()))
    ward.terminal.batch()
    auditor.refuses(ward.site, "a key that was not this card's")


def test_a_signature_over_an_earlier_record_is_refused(auditor: Auditor, ward: Ward) -> None:
    real = ward.terminal.tap(ward.vogel)
    replayed = ward.vogel.nine_e.sign(b"tapover:card:v1\n" + ward.terminal.events[real])
    record = ward.terminal.record(ward.vogel)
    ward.terminal.outcome(ward.vogel, record, signature=b64(replayed))
    ward.terminal.batch()
    auditor.refuses(ward.site, "a card's signature that does not hold")


def test_a_signature_without_the_domain_tag_is_refused(auditor: Auditor, ward: Ward) -> None:
    record = ward.terminal.record(ward.vogel)
    bare = ward.vogel.nine_e.sign(ward.terminal.events[record])
    ward.terminal.outcome(ward.vogel, record, signature=b64(bare))
    ward.terminal.batch()
    auditor.refuses(ward.site, "a card's signature that does not hold")


def test_one_record_serves_one_claim(auditor: Auditor, ward: Ward) -> None:
    record = ward.terminal.tap(ward.vogel)
    ward.terminal.outcome(ward.vogel, record, "woken")
    ward.terminal.batch()
    auditor.refuses(ward.site, "a record that served")


def test_a_record_copied_into_another_place_is_refused(auditor: Auditor, ward: Ward) -> None:
    place = ward.terminal.chain[-1].hex()
    ward.terminal.tap(ward.vogel)
    ward.terminal.record(ward.vogel, previous=place)
    ward.terminal.batch()
    auditor.refuses(ward.site, "another chain value than its place")


def test_a_record_from_another_terminals_journal_is_refused(auditor: Auditor, ward: Ward) -> None:
    ward.terminal.event("note", lies={"terminal": "bay-2"})
    ward.terminal.batch()
    auditor.refuses(ward.site, "another terminal, journal or sequence")


@pytest.mark.parametrize("said", [99, 0, 6], ids=["later", "no record", "itself"])
def test_an_outcome_of_something_that_is_no_record_is_refused(
    auditor: Auditor, ward: Ward, said: int
) -> None:
    ward.terminal.tap(ward.ngata)
    record = ward.terminal.record(ward.vogel)
    assert record == 5
    ward.terminal.outcome(ward.vogel, record, record=said)
    ward.terminal.batch()
    auditor.refuses(ward.site, "which is no card record")


def test_an_outcome_for_another_card_than_its_record_is_refused(
    auditor: Auditor, ward: Ward
) -> None:
    record = ward.terminal.record(ward.ngata)
    ward.terminal.outcome(ward.vogel, record)
    ward.terminal.batch()
    auditor.refuses(ward.site, "another card than its record")


def test_a_tap_written_down_for_another_holder_is_refused(auditor: Auditor, ward: Ward) -> None:
    record = ward.terminal.record(ward.vogel)
    ward.terminal.outcome(ward.vogel, record, holder="h-ngata")
    ward.terminal.batch()
    auditor.refuses(ward.site, "another holder than the directory's")


def test_a_tap_key_does_not_prove_a_pin(auditor: Auditor, ward: Ward) -> None:
    record = ward.terminal.record(ward.vogel, "pin")
    ward.terminal.outcome(ward.vogel, record, "proved", signer=ward.vogel.nine_e)
    ward.terminal.batch()
    auditor.refuses(ward.site, "a key that was not this card's")


@pytest.mark.parametrize("purpose", ["tap", "countersign", "move"])
def test_either_key_of_the_card_serves_the_other_purposes(
    auditor: Auditor, ward: Ward, purpose: str
) -> None:
    record = ward.terminal.record(ward.vogel, purpose)
    ward.terminal.outcome(ward.vogel, record, "proved", pin=True)
    ward.terminal.batch()
    auditor.accepts(ward.site)


def test_a_second_persons_card_countersigns_with_either_key(auditor: Auditor, ward: Ward) -> None:
    for pin in (False, True):
        record = ward.terminal.record(ward.vogel, "countersign")
        ward.terminal.outcome(ward.vogel, record, "countersigned", pin=pin)
    ward.terminal.batch()
    auditor.accepts(ward.site)


@pytest.mark.parametrize("result", ["opened", "resumed", "still-you", "woken", "parked-by-tap"])
def test_a_text_under_which_a_card_stands_is_no_sign_on(
    auditor: Auditor, ward: Ward, result: str
) -> None:
    record = ward.terminal.record(ward.vogel, "countersign")
    ward.terminal.outcome(ward.vogel, record, result)
    ward.terminal.batch()
    auditor.refuses(ward.site, "a countersign that served")


def test_a_tap_is_no_countersign(auditor: Auditor, ward: Ward) -> None:
    record = ward.terminal.record(ward.vogel)
    ward.terminal.outcome(ward.vogel, record, "countersigned")
    ward.terminal.batch()
    auditor.refuses(ward.site, "countersigned without a text")


def test_a_countersign_that_nobody_signed_is_refused(auditor: Auditor, ward: Ward) -> None:
    record = ward.terminal.record(ward.vogel, "countersign")
    ward.terminal.outcome(ward.vogel, record, "countersigned", signature=None)
    ward.terminal.batch()
    auditor.refuses(ward.site, "without a card's signature")


def test_a_signature_under_the_name_of_another_algorithm_is_refused(
    auditor: Auditor, ward: Ward
) -> None:
    record = ward.terminal.record(ward.vogel)
    ward.terminal.outcome(ward.vogel, record, algorithm=Rsa2048.algorithm)
    ward.terminal.batch()
    auditor.refuses(ward.site, "a key that was not this card's")


def test_a_cards_key_entitled_later_does_not_serve_an_earlier_version(
    auditor: Auditor, ward: Ward
) -> None:
    early = {"epoch": 1, "n": 1}
    late = Card("h-late", P256(), P256())
    ward.site.change(late.entitlement())
    record = ward.terminal.record(late, directory=early)
    ward.terminal.outcome(late, record)
    ward.terminal.batch()
    auditor.refuses(ward.site, "not this card's in version 1.1")


def test_a_card_taken_away_does_not_serve_the_later_version(auditor: Auditor, ward: Ward) -> None:
    gone = {"type": "tapover/removed/v1", "kind": "entitlement", "id": ward.vogel.guid}
    ward.site.change(gone | {"salt": "22" * 16})
    ward.terminal.tap(ward.vogel)
    ward.terminal.batch()
    auditor.refuses(ward.site, "not this card's in version 1.2")


def test_a_card_taken_away_still_proves_what_it_signed_before(auditor: Auditor, ward: Ward) -> None:
    ward.terminal.tap(ward.vogel)
    gone = {"type": "tapover/removed/v1", "kind": "entitlement", "id": ward.vogel.guid}
    ward.site.change(gone | {"salt": "22" * 16})
    ward.terminal.batch()
    auditor.accepts(ward.site)


@pytest.mark.parametrize("version", [{"epoch": 1, "n": 2}, {"epoch": 9, "n": 1}])
def test_a_directory_version_that_the_log_does_not_have_is_refused(
    auditor: Auditor, ward: Ward, version: dict[str, int]
) -> None:
    record = ward.terminal.record(ward.vogel, directory=version)
    ward.terminal.outcome(ward.vogel, record)
    ward.terminal.batch()
    auditor.refuses(ward.site, "which no earlier leaf made")


def test_a_directory_version_that_the_log_had_only_later_is_refused(
    auditor: Auditor, ward: Ward
) -> None:
    late = Card("h-late", P256(), P256())
    record = ward.terminal.record(late, directory={"epoch": 1, "n": 2})
    ward.terminal.outcome(late, record)
    ward.terminal.batch()
    ward.site.change(late.entitlement())
    auditor.refuses(ward.site, "which no earlier leaf made")


def test_a_refusal_may_carry_the_wrong_key_only_when_it_says_so(
    auditor: Auditor, ward: Ward
) -> None:
    for reason in ("card-key-wrong", "stale"):
        record = ward.terminal.record(ward.vogel)
        ward.terminal.outcome(ward.vogel, record, "refused", signer=P256(), reason=reason)
        ward.terminal.batch()
        if reason == "card-key-wrong":
            auditor.accepts(ward.site)
    auditor.refuses(ward.site, "a key that was not this card's")


def test_a_claim_may_not_hide_behind_card_key_wrong(auditor: Auditor, ward: Ward) -> None:
    record = ward.terminal.record(ward.vogel)
    ward.terminal.outcome(ward.vogel, record, signer=P256(), reason="card-key-wrong")
    ward.terminal.batch()
    auditor.refuses(ward.site, "a key that was not this card's")


@pytest.mark.parametrize("change", ["opened", "resumed"])
def test_no_session_opens_without_a_card(auditor: Auditor, ward: Ward, change: str) -> None:
    ward.terminal.session(ward.vogel, change)
    ward.terminal.batch()
    auditor.refuses(ward.site, f"a session {change} without a card outcome")


@pytest.mark.parametrize(
    "lie",
    [{"session": "s-other"}, {"holder": "h-ngata"}, {"position": "p-2"}, {"change": "resumed"}],
    ids=lambda lie: next(iter(lie)),
)
def test_a_session_is_the_one_that_the_card_opened(
    auditor: Auditor, ward: Ward, lie: dict[str, str]
) -> None:
    ward.terminal.outcome(ward.vogel, ward.terminal.record(ward.vogel))
    ward.terminal.session(ward.vogel, **lie)
    ward.terminal.batch()
    auditor.refuses(ward.site, "without a card outcome")


def test_one_tap_opens_one_session_once(auditor: Auditor, ward: Ward) -> None:
    ward.terminal.outcome(ward.vogel, ward.terminal.record(ward.vogel))
    ward.terminal.session(ward.vogel)
    ward.terminal.session(ward.vogel)
    ward.terminal.batch()
    auditor.refuses(ward.site, "a session opened without a card outcome")


def test_a_session_stands_after_the_tap_that_opens_it(auditor: Auditor, ward: Ward) -> None:
    record = ward.terminal.record(ward.vogel)
    ward.terminal.session(ward.vogel)
    ward.terminal.outcome(ward.vogel, record)
    ward.terminal.batch()
    auditor.refuses(ward.site, "a session opened without a card outcome")


def test_sessions_may_lock_and_park_without_a_card(auditor: Auditor, ward: Ward) -> None:
    for change in ("parked", "locked", "closed", "something new"):
        ward.terminal.session(ward.vogel, change)
    ward.terminal.batch()
    auditor.accepts(ward.site)


def test_a_heartbeat_made_by_the_terminal_is_refused(auditor: Auditor, ward: Ward) -> None:
    ward.terminal.hold(ward.site.heartbeat(ward.terminal.key))
    ward.terminal.batch()
    auditor.refuses(ward.site, "a heartbeat by a key that is not the site's")


def test_a_heartbeat_with_a_changed_time_is_refused(auditor: Auditor, ward: Ward) -> None:
    honest = ward.site.heartbeat()
    other = ward.site.heartbeat()
    forged = honest.split(b'"sig"')[0] + b'"sig"' + other.split(b'"sig"')[1]
    ward.terminal.hold(forged)
    ward.terminal.batch()
    auditor.refuses(ward.site, "whose signature by the site's statement key fails")


def test_a_record_may_name_only_a_heartbeat_that_was_held(auditor: Auditor, ward: Ward) -> None:
    ward.terminal.record(ward.vogel, heartbeat=digest(ward.site.heartbeat()).hex())
    ward.terminal.batch()
    auditor.refuses(ward.site, "a card record whose heartbeat was not held before")


def test_a_terminal_shown_another_directory_is_found_out(auditor: Auditor, ward: Ward) -> None:
    ward.terminal.hold(ward.site.heartbeat(head=secrets.token_hex(32)))
    ward.terminal.batch()
    auditor.refuses(ward.site, "a heartbeat with another head for version 1.1")


def test_a_card_key_of_another_kind_cannot_be_entitled(auditor: Auditor) -> None:
    for key in (Rsa2048(bits=1024), Rsa2048(exponent=3), Ed25519()):
        ward = open_ward()
        odd = Card("h-odd", key, P256())
        entry = odd.entitlement()
        entry["credentials"][1]["algorithm"] = Rsa2048.algorithm
        ward.site.change(entry)
        auditor.refuses(ward.site, "a public key that is no rsa2048-pkcs1-sha256")


def test_every_reason_for_doubt_is_said(auditor: Auditor) -> None:
    ward = honest_ward()
    said = auditor.accepts(ward.site)
    assert "a key that was not seen to need the PIN" in said
    ward.terminal.tap(ward.ngata)
    ward.terminal.heartbeat = None
    ward.terminal.tap(ward.vogel)
    ward.terminal.batch()
    said = auditor.accepts(ward.site)
    assert "suspended, revoked or lost" in said
    assert "1 claim without a heartbeat" in said
