"""When a certificate is renewed, how it comes into place, and what a gateway's bytes cannot do."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import example, given
from hypothesis import strategies as st

from contract.certificates import Profile, Subject, Validity, build_ca, build_leaf
from contract.enrolment import Issued
from contract.ids import SiteId, TerminalId
from contract.tap import DirectoryVersion
from contract.wire import encode_base64
from firmware_py.enrolment.orders import Applicant, NotOurs, certificate_of, require_authority
from firmware_py.enrolment.paper import PaperUnreadable, read_paper
from firmware_py.site.place import (
    CERTIFICATE,
    KEY,
    NEXT_CERTIFICATE,
    NEXT_KEY,
    is_issued_by,
    life_of,
    read_certificate,
    settle,
)
from tests.gateway.identities import pem_key

NOW = datetime(2026, 5, 1, tzinfo=UTC)
DAY = timedelta(days=1)
DAY_MS = 24 * 3600 * 1000
CA_KEY, TLS_KEY, BATCH_KEY = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
CA = build_ca(
    Profile.TERMINAL_CA, Subject("ca", "st-e"), CA_KEY, 1, Validity(NOW - DAY, NOW + 999 * DAY)
)
US = Applicant(SiteId("st-e"), TerminalId("bay-1"), TLS_KEY, BATCH_KEY)


def certificate(
    name: str = "bay-1",
    key: ec.EllipticCurvePrivateKey = TLS_KEY,
    issuer: ec.EllipticCurvePrivateKey = CA_KEY,
    serial: int = 7,
) -> x509.Certificate:
    return build_leaf(
        Profile.TERMINAL,
        Subject(name, "st-e"),
        key.public_key(),
        issuer=CA,
        issuer_key=issuer,
        serial=serial,
        validity=Validity(NOW, NOW + 30 * DAY),
    )


def issued(der: bytes) -> Issued:
    return Issued(certificate=encode_base64(der), directory=DirectoryVersion(epoch=1, n=1))


def test_a_ward_enrolled_in_one_hour_is_renewed_over_more_than_a_day(tmp_path: Path) -> None:
    due = []
    for serial in range(1, 101):
        path = tmp_path / f"{serial}.pem"
        path.write_bytes(certificate(serial=serial).public_bytes(Encoding.PEM))
        life = life_of(read_certificate(path))
        assert life_of(read_certificate(path)) == life  # a restart draws no other moment
        due.append(life.renew_ms - int(NOW.timestamp() * 1000))
    assert all(20 * DAY_MS <= one <= 21.5 * DAY_MS for one in due)
    assert max(due) - min(due) > DAY_MS


def test_a_ward_that_hears_of_another_ca_is_renewed_over_the_hour_that_follows() -> None:
    now_ms = int(NOW.timestamp() * 1000) + DAY_MS
    ward = [life_of(certificate(serial=serial)) for serial in range(1, 101)]

    def due(replaced_s: float | None, spread_s: float = 3600) -> int:
        return sum(life.is_due(now_ms, replaced_s, spread_s) for life in ward)

    assert due(None) == 0
    assert due(0) == 0
    assert 0 < due(600) < 40 < due(2400) < due(3500) <= due(3600) == 100
    assert due(0, spread_s=0) == 100
    # It makes nothing later than it was.
    assert all(life.is_due(life.renew_ms, 0, 3600) for life in ward)


def test_a_ca_of_the_same_name_is_another_by_its_key() -> None:
    assert is_issued_by(certificate(), CA)
    assert not is_issued_by(certificate(issuer=BATCH_KEY), CA)


@pytest.mark.parametrize("cut_after", [0, 1, 2])
def test_a_power_cut_while_the_next_certificate_is_put_in_place_is_gone_on_with(
    tmp_path: Path, cut_after: int
) -> None:
    new = ec.generate_private_key(ec.SECP256R1())
    files = {
        KEY: pem_key(TLS_KEY),
        CERTIFICATE: certificate().public_bytes(Encoding.PEM),
        NEXT_KEY: pem_key(new),
        NEXT_CERTIFICATE: certificate(key=new).public_bytes(Encoding.PEM),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    for old, in_place in [(NEXT_KEY, KEY), (NEXT_CERTIFICATE, CERTIFICATE)][:cut_after]:
        (tmp_path / old).replace(tmp_path / in_place)
    assert settle(tmp_path) == (cut_after < 2)
    assert (tmp_path / KEY).read_bytes() == files[NEXT_KEY]
    assert (tmp_path / CERTIFICATE).read_bytes() == files[NEXT_CERTIFICATE]
    assert {one.name for one in tmp_path.iterdir()} == {KEY, CERTIFICATE}
    assert not settle(tmp_path)


def test_a_key_that_waits_for_its_certificate_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / NEXT_KEY).write_bytes(pem_key(TLS_KEY))
    assert not settle(tmp_path)
    assert (tmp_path / NEXT_KEY).exists()


@pytest.mark.parametrize(
    "wrong",
    [
        certificate(name="bay-2"),
        certificate(key=BATCH_KEY),
        certificate(issuer=BATCH_KEY),
    ],
    ids=["another terminal's", "for another key", "of another CA"],
)
def test_a_certificate_that_is_not_what_was_asked_for_is_not_taken(wrong: x509.Certificate) -> None:
    floor_ms = int(NOW.timestamp() * 1000)
    right = certificate().public_bytes(Encoding.DER)
    assert certificate_of(issued(right), US, CA, floor_ms).startswith(b"-----BEGIN CERTIFICATE")
    with pytest.raises(NotOurs):
        certificate_of(issued(wrong.public_bytes(Encoding.DER)), US, CA, floor_ms)
    with pytest.raises(NotOurs):
        certificate_of(issued(right), US, CA, floor_ms + 31 * DAY_MS)


@given(st.binary(min_size=1, max_size=600))
def test_any_bytes_for_a_certificate_or_a_ca_end_in_our_own_refusal(data: bytes) -> None:
    with pytest.raises(NotOurs):
        certificate_of(issued(data), US, CA, 0)
    with pytest.raises(NotOurs):
        require_authority(data, CA)


def test_no_changed_bit_of_a_certificate_changes_what_is_taken() -> None:
    right = certificate()
    der = right.public_bytes(Encoding.DER)
    for place in range(len(der) * 8):
        changed = bytearray(der)
        changed[place // 8] ^= 1 << place % 8
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the library's own, about odd serial numbers
                pem = certificate_of(issued(bytes(changed)), US, CA, 0)
        except NotOurs:
            continue
        # Bits that no signature covers: how many of a bit string's last byte are said to be unused.
        taken = x509.load_pem_x509_certificate(pem)
        assert taken.tbs_certificate_bytes == right.tbs_certificate_bytes


@example(bytes(9000))
@given(st.binary(max_size=1000))
def test_any_bytes_on_the_boot_partition_end_in_our_own_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    folder = tmp_path_factory.mktemp("boot")
    (folder / "enrolment.json").write_bytes(data)
    with pytest.raises(PaperUnreadable):
        read_paper(folder / "enrolment.json", folder)
