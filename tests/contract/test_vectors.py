"""The bytes that all sides promised each other do not change, and hold without our code."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from contract import (
    checkpoint,
    declaring,
    directory,
    emergency,
    enrolment,
    events,
    help,  # noqa: A004 - the contract's word
    journal,
    policy,
    puk,
    signing,
    statements,
    tap,
)
from contract.wire import Record
from tests.contract.vectors.generate import SITE, VECTORS, generate

GOLDEN: dict[str, Any] = json.loads(VECTORS.read_text())
RECORDS: dict[str, str] = {name: one["bytes"] for name, one in GOLDEN["records"].items()}

SIGNED_BY = {
    "key-statement": "root",
    "root-succession": "root",
    "restoration": "root",
    "change-request": "operator",
    "directory-change": "statement",
    "directory-manifest": "statement",
    "heartbeat": "statement",
    "batch": "batch",
    "receipt": "log",
    "enrolment": "statement",
    "grant": "operator",
    "enrolment-request": "batch",
    "change-set": "operator",
    "approval": "second-operator",
    "spare-assignment-named": "batch",
    "spare-assignment-guest": "batch",
    "puk-request": "batch",
    "puk-release": "statement",
    "puk-report": "batch",
    "escrows": "operator",
    "emergency": "batch",
    "downtime": "statement",
    "session-handover": "batch",
    "state-taken": "batch",
}
PLAIN: dict[str, type[Record]] = {
    "policy": policy.Policy,
    "chunk-list": directory.ChunkList,
    "checkpoint-message": checkpoint.CheckpointMessage,
    "pin-proof": tap.PinProof,
    "move-request": tap.MoveRequest,
    "status": statements.TerminalStatus,
    "status-readers": statements.TerminalStatus,
    "order": enrolment.Order,
    "issued": enrolment.Issued,
    "pending": enrolment.Pending,
    "refusal": enrolment.RefusalAnswer,
    "enrolment-file": enrolment.EnrolmentFile,
    "spare": directory.Spare,
    "policy-countersigned": policy.Policy,
    "spare-terms-named": help.SpareTerms,
    "spare-terms-guest": help.SpareTerms,
    "help-answer": help.HelpAnswer,
    "puk-terms": puk.PukTerms,
    "downtime-terms": emergency.DowntimeTerms,
    "downtime-said": declaring.DowntimeSaid,
    "policy-emergency": policy.Policy,
    "policy-grace-on-the-ward": policy.Policy,
}


def test_the_generator_still_writes_these_bytes() -> None:
    assert generate() == GOLDEN


@pytest.mark.parametrize("name", SIGNED_BY)
def test_every_statement_is_signed_as_the_evidence_page_says(name: str) -> None:
    """Without our code: DSSE by hand, with the key that the page names."""
    envelope = json.loads(RECORDS[name])
    kind, payload = envelope["payloadType"].encode(), base64.b64decode(envelope["payload"])
    message = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
    spki = base64.b64decode(GOLDEN["keys"][SIGNED_BY[name]])
    (signature,) = envelope["signatures"]
    assert signature["keyid"] == hashlib.sha256(spki).hexdigest()
    _verify(spki, base64.b64decode(signature["sig"]), message)


@pytest.mark.parametrize("name", [n for n in RECORDS if n.startswith("event-")])
def test_every_event_is_read_back_as_it_was_written(name: str) -> None:
    data = RECORDS[name].encode()
    assert events.Event.from_bytes(data).to_bytes() == data


@pytest.mark.parametrize("name", PLAIN)
def test_every_plain_record_is_read_back_as_it_was_written(name: str) -> None:
    data = RECORDS[name].encode()
    assert PLAIN[name].from_bytes(data).to_bytes() == data


@pytest.mark.parametrize("name", ["entitlement", "terminal-register", "policy", "removed"])
def test_every_directory_entry_is_read_back_as_it_was_written(name: str) -> None:
    data = RECORDS[name].encode()
    assert directory.parse_entry(data).to_bytes() == data


@pytest.mark.parametrize(("purpose", "key"), [("pin", "card-9A"), ("tap", "card-9E")])
def test_the_cardholders_key_signed_the_very_bytes_in_the_journal(purpose: str, key: str) -> None:
    record, outcome = RECORDS[f"event-{purpose}-record"], RECORDS[f"event-{purpose}-outcome"]
    signature = base64.b64decode(json.loads(outcome)["detail"]["signature"])
    message = b"tapover:card:v1\n" + record.encode()
    _verify(base64.b64decode(GOLDEN["keys"][key]), signature, message)


def test_a_foreign_rsa_card_signs_the_same_way() -> None:
    card = GOLDEN["rsa-card"]
    message = b"tapover:card:v1\n" + card["event"].encode()
    _verify(base64.b64decode(card["key"]), base64.b64decode(card["signature"]), message)
    key = signing.VerifyKey.from_base64(card["key"])
    tap.verify_card(key, card["event"].encode(), base64.b64decode(card["signature"]))


def test_the_batch_continues_the_chain_that_the_page_describes() -> None:
    _, *lines = RECORDS["batch-message"].encode().split(b"\n")
    statement = json.loads(base64.b64decode(json.loads(RECORDS["batch"])["payload"]))
    value = hashlib.sha256(b"tapover:journal:v1\n" + bytes.fromhex(statement["journal"])).digest()
    assert statement["previous"] == value.hex()
    for line, digest in zip(lines, statement["events"], strict=True):
        assert hashlib.sha256(line).hexdigest() == digest
        detail = json.loads(line)["detail"]
        if detail["kind"] == "card.record":
            assert detail["record"]["previous"] == value.hex()
        value = hashlib.sha256(value + hashlib.sha256(line).digest()).digest()
    envelope, bodies = journal.split_lines(
        RECORDS["batch-message"].encode(), journal.MAX_BATCH_BYTES
    )
    own = journal.BatchStatement.open(
        envelope, signing.VerifyKey.from_base64(GOLDEN["keys"]["batch"])
    )
    journal.require_bodies(bodies, own.events, events.Event.CAP)
    assert own.head == value.hex()


def test_the_checkpoint_is_a_signed_note_of_the_first_two_leaves() -> None:
    note = RECORDS["checkpoint"]
    leaves = [RECORDS["key-statement"].encode(), RECORDS["change-request"].encode()]
    hashed = [hashlib.sha256(b"\x00" + leaf).digest() for leaf in leaves]
    root = hashlib.sha256(b"\x01" + b"".join(hashed)).digest()
    body, _, signature = note.partition("\n\n")
    assert body == f"tapover.{SITE}/log/1\n2\n{base64.b64encode(root).decode()}"
    raw = base64.b64decode(signature.split(" ")[2])
    spki = base64.b64decode(GOLDEN["keys"]["log"])
    _verify(spki, raw[4:], (body + "\n").encode())
    key = signing.VerifyKey.from_base64(GOLDEN["keys"]["log"])
    assert checkpoint.open_checkpoint(note, SITE, 1, key).root == root


def _verify(spki: bytes, signature: bytes, message: bytes) -> None:
    key = serialization.load_der_public_key(spki)
    match key:
        case ec.EllipticCurvePublicKey():
            key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
        case rsa.RSAPublicKey():
            key.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
        case ed25519.Ed25519PublicKey():
            key.verify(signature, message)
        case _:
            pytest.fail("a key of no kind that the page names")
