"""Orders, tokens and letters: what holds before a gateway is asked."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from contract import enrolment as wire
from contract.ids import OperatorId, SiteId, TerminalId, WardId
from contract.signing import SoftwareSigner, sha256
from contract.wire import WireError, encode_base64

SITE, BAY = SiteId("st-elsewhere"), TerminalId("bay-1")
DOCS = Path(__file__).resolve().parents[2] / "docs" / "errors.md"
BATCH = SoftwareSigner(ec.derive_private_key(18, ec.SECP256R1()))
KEY = ec.derive_private_key(19, ec.SECP256R1())


def csr(
    *names: str, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
) -> bytes:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in names])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    how = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    is_ec = isinstance(key, ec.EllipticCurvePrivateKey)
    return builder.sign(key, how, ecdsa_deterministic=True if is_ec else None).public_bytes(
        Encoding.DER
    )


def order(der: bytes) -> wire.Order:
    request = wire.EnrolmentRequest(
        site=SITE,
        terminal=BAY,
        csr=sha256(der),
        batch_key=BATCH.public.to_base64(),
        issued_ms=0,
    ).seal(BATCH)
    return wire.Order(csr=encode_base64(der), request=encode_base64(request.to_bytes()))


def test_the_page_of_errors_says_what_the_contract_says() -> None:
    rows = re.findall(r"^\| ([a-z-]+) \| (\d{3}) \| (\d{3}) \|", DOCS.read_text(), re.MULTILINE)
    said = [(str(word), str(code), str(status)) for word, (code, status) in wire.REFUSALS.items()]
    assert rows == said
    assert set(wire.REFUSALS) == set(wire.Refusal)


def test_letters_come_from_the_keys_and_the_name_and_from_nothing_else() -> None:
    one = wire.enrolment_code(BAY, b"key", b"batch")
    assert wire.is_code(one)
    assert one == wire.enrolment_code(BAY, b"key", b"batch")
    others = {
        wire.enrolment_code(TerminalId("bay-2"), b"key", b"batch"),
        wire.enrolment_code(BAY, b"batch", b"key"),
        wire.enrolment_code(BAY, b"key", b"other"),
    }
    assert one not in others
    assert len(others) == 3


@given(st.binary(min_size=32, max_size=32))
def test_a_token_has_one_spelling(token: bytes) -> None:
    text = wire.spell_token(token)
    assert wire.token_digest(text) == sha256(token)
    # The last letter carries two bits that no byte has: all four would decode alike.
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    other = text[:-1] + letters[letters.index(text[-1]) ^ 1]
    with pytest.raises(wire.EnrolmentRefused):
        wire.token_digest(other)


@given(st.text(max_size=60).filter(lambda text: len(text) != 43))
def test_what_is_no_token_is_refused_in_our_own_words(text: str) -> None:
    with pytest.raises(wire.EnrolmentRefused) as refused:
        wire.token_digest(text)
    assert refused.value.reason is wire.Refusal.TOKEN_UNKNOWN


@pytest.mark.parametrize(
    ("der", "reason"),
    [
        (csr("bay-1", key=rsa.generate_private_key(65537, 2048)), wire.Refusal.KEY_REFUSED),
        (csr("bay-1", key=ec.generate_private_key(ec.SECP384R1())), wire.Refusal.KEY_REFUSED),
        (csr("bay-1", key=ed25519.Ed25519PrivateKey.generate()), wire.Refusal.KEY_REFUSED),
        (csr("bay-2", key=KEY), wire.Refusal.NAME_MISMATCH),
        (csr(key=KEY), wire.Refusal.NAME_MISMATCH),
        (csr("bay-1", "bay-2", key=KEY), wire.Refusal.NAME_MISMATCH),
        (b"", wire.Refusal.MALFORMED),
        (b"0" * 100, wire.Refusal.MALFORMED),
    ],
)
def test_a_request_for_a_certificate_is_p256_and_names_its_terminal(
    der: bytes, reason: wire.Refusal
) -> None:
    with pytest.raises(wire.EnrolmentRefused) as refused:
        wire.check_order(order(der), SITE, None)
    assert refused.value.reason is reason


@pytest.mark.filterwarnings("ignore:Attribute's length")
def test_no_changed_byte_of_a_pkcs10_request_makes_it_another_ones() -> None:
    """Each byte by each bit: refused, or (padding bits of the signature) what it was."""
    _, name, key = wire.check_csr(DER)
    for place in range(len(DER)):
        for bit in range(8):
            changed = bytearray(DER)
            changed[place] ^= 1 << bit
            with contextlib.suppress(wire.EnrolmentRefused):
                assert wire.check_csr(bytes(changed))[1:] == (name, key)


@pytest.mark.filterwarnings("ignore:Attribute's length")
@given(st.data())
def test_whatever_a_stranger_sends_ends_in_our_own_errors(data: st.DataObject) -> None:
    sent = bytearray(ORDER)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(sent) - 1))
        sent[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    with contextlib.suppress(wire.EnrolmentRefused, WireError):
        checked = wire.check_order(wire.Order.from_bytes(bytes(sent)), SITE, None)
        assert checked.request.terminal == BAY


def test_a_grant_is_bounded_in_time_and_names_nobody_twice() -> None:
    def grant(until_ms: int, *names: str) -> wire.Grant:
        return wire.Grant(
            site=SITE,
            operator=OperatorId("ines"),
            nonce="0e" * 32,
            issued_ms=1000,
            until_ms=until_ms,
            terminals=tuple(
                wire.Granted(terminal=TerminalId(n), ward=WardId("ed"), token=sha256(n.encode()))
                for n in names
            ),
        )

    longest = grant(1000 + wire.GRANT_MS, *(f"{n:048}" for n in range(wire.MAX_GRANT_TERMINALS)))
    assert len(longest.seal(BATCH).to_bytes()) <= 65_535
    with pytest.raises(ValueError, match="72 hours"):
        grant(1001 + wire.GRANT_MS, "a")
    with pytest.raises(ValueError, match="twice"):
        grant(2000, "a", "a")


DER = csr("bay-1", key=KEY)
ORDER = order(DER).to_bytes()
