"""A signature is believed for its own bytes, type and key, and for nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract import statements, tap
from contract.journal import BatchStatement, Head, Verdict, chain_start, judge
from contract.signing import (
    Envelope,
    PayloadType,
    SignatureRefused,
    SoftwareSigner,
    VerifyKey,
    seal,
    sha256,
)
from contract.wire import WireError, decode_base64, encode_base64
from tests.contract.vectors.generate import BATCH, CARD_9E, JOURNAL, STATEMENT, TERMINAL, VECTORS

GOLDEN = json.loads(VECTORS.read_text())
HEARTBEAT = GOLDEN["records"]["heartbeat"]["bytes"].encode()
RECORD = GOLDEN["records"]["event-tap-record"]["bytes"].encode()


@given(st.integers(0, len(HEARTBEAT) - 1), st.integers(1, 255))
def test_no_changed_byte_of_a_statement_is_believed(at: int, flip: int) -> None:
    data = bytearray(HEARTBEAT)
    data[at] ^= flip
    with pytest.raises((WireError, SignatureRefused)):
        statements.Heartbeat.open(Envelope.from_bytes(bytes(data)), STATEMENT.public)


def test_a_statement_is_of_one_type_only() -> None:
    envelope = seal(PayloadType.CHANGE, b"{}", STATEMENT)
    with pytest.raises(SignatureRefused, match="payload type"):
        envelope.verify(PayloadType.HEARTBEAT, STATEMENT.public)


def test_another_key_vouches_for_nothing() -> None:
    with pytest.raises(SignatureRefused, match="another key"):
        statements.Heartbeat.open(Envelope.from_bytes(HEARTBEAT), BATCH.public)


def test_an_envelope_has_one_spelling() -> None:
    spaced = json.dumps(json.loads(HEARTBEAT)).encode()
    with pytest.raises(WireError, match="one spelling"):
        Envelope.from_bytes(spaced)


@given(st.binary(max_size=128))
def test_any_key_bytes_end_in_our_own_error(data: bytes) -> None:
    with pytest.raises(SignatureRefused):
        VerifyKey.from_spki(data)


@given(st.binary(max_size=80))
def test_any_signature_bytes_end_in_our_own_error(signature: bytes) -> None:
    for key in (CARD_9E.public, VerifyKey.from_base64(GOLDEN["rsa-card"]["key"])):
        with pytest.raises(SignatureRefused):
            tap.verify_card(key, RECORD, signature)


@given(st.binary(max_size=200))
def test_any_pem_ends_in_our_own_error(pem: bytes) -> None:
    with pytest.raises(SignatureRefused):
        SoftwareSigner.from_pem(pem)


def test_a_der_signature_with_a_second_spelling_is_refused() -> None:
    raw = CARD_9E.sign(tap.card_message(RECORD))
    longer = raw[:1] + b"\x81" + raw[1:]
    with pytest.raises(SignatureRefused):
        tap.verify_card(CARD_9E.public, RECORD, longer)


def test_a_card_record_cannot_be_passed_off_as_a_statement() -> None:
    """The domain tag and DSSE's prefix keep what cards sign apart from what statements sign."""
    envelope = seal(PayloadType.HEARTBEAT, RECORD, CARD_9E)
    with pytest.raises(SignatureRefused):
        tap.verify_card(CARD_9E.public, RECORD, decode_base64(envelope.signatures[0].sig))
    with pytest.raises(SignatureRefused):
        CARD_9E.public.verify(RECORD, CARD_9E.sign(tap.card_message(RECORD)))


def _batch(first: int, previous: str, events: int, salt: int = 0) -> tuple[BatchStatement, str]:
    digests = tuple(sha256(b"%d %d" % (first + i, salt)) for i in range(events))
    statement = BatchStatement.model_validate(
        {
            "terminal": TERMINAL,
            "journal": JOURNAL,
            "first": first,
            "previous": previous,
            "events": digests,
            "holds": None,
        }
    )
    return statement, statement.seal(BATCH).digest


def test_a_batch_that_continues_the_chain_is_accepted_once() -> None:
    head = Head.start(JOURNAL)
    statement, digest = _batch(0, chain_start(JOURNAL), 3)
    judged = judge(head, statement, sha256(digest.encode()), None)
    assert judged.verdict is Verdict.ACCEPTED
    assert judged.head == Head(3, statement.head)
    again = judge(judged.head, statement, sha256(b"x"), sha256(b"x"))
    assert (again.verdict, again.head) == (Verdict.DUPLICATE, judged.head)


@given(first=st.integers(0, 10), next_=st.integers(0, 10), fits=st.booleans())
def test_a_verdict_moves_the_head_only_where_the_chain_goes_on(
    *, first: int, next_: int, fits: bool
) -> None:
    chain = chain_start(JOURNAL)
    head = Head(next_, chain)
    statement, digest = _batch(first, chain if fits else sha256(b"other"), 2)
    judged = judge(head, statement, sha256(digest.encode()), None)
    expected = Verdict.GAP if first > next_ else Verdict.FORK
    if first == next_ and fits:
        expected = Verdict.ACCEPTED
    assert judged.verdict is expected
    assert (judged.head == head) is (expected is not Verdict.ACCEPTED)


def test_a_signer_shows_its_public_half_only() -> None:
    signer = SoftwareSigner(BATCH.key)
    assert repr(signer) == f"SoftwareSigner({signer.public.key_id[:16]})"
    assert encode_base64(BATCH.key.private_numbers().private_value.to_bytes(32, "big")) not in repr(
        signer
    )


def test_the_page_that_defines_the_evidence_names_every_kind_of_statement() -> None:
    page = (Path(__file__).parents[2] / "docs" / "evidence.md").read_text(encoding="utf-8")
    kinds = [kind.value.removeprefix("application/vnd.tapover.") for kind in PayloadType]
    assert [kind for kind in kinds if f"`{kind}`" not in page] == []
