"""A site is made once, whole, and other people's tools accept what it makes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from benchmarks.ward import identities
from contract.ids import OperatorId, SiteId
from contract.signing import Envelope, PayloadType, SoftwareSigner, VerifyKey
from contract.statements import KeyStatement
from provisioning.directory import ledger
from provisioning.errors import AlreadyThere, BadInput, NotThere
from provisioning.site import keys
from provisioning.site.folder import SiteFolder, add_operator, init_site
from runtime.clock import SystemClock

NOW_MS = SystemClock().wall_ms()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> SiteFolder:
    folder = SiteFolder(tmp_path_factory.mktemp("provisioning") / "site")
    init_site(folder, SiteId("st-elsewhere"), ("127.0.0.1", "localhost"), b"correct horse", NOW_MS)
    return folder


def test_the_root_vouches_for_every_key_of_the_site(site: SiteFolder) -> None:
    envelope = Envelope.from_bytes((site.gateway / "keys.dsse").read_bytes())
    root = keys.read_p256(site.authority / "root.key.pem", b"correct horse")
    statement = KeyStatement.open(envelope, SoftwareSigner(root).public)
    assert SoftwareSigner(root).public.key_id == site.root_fingerprint
    assert statement.site == "st-elsewhere"
    own = SoftwareSigner.from_pem((site.gateway / "log.key.pem").read_bytes())
    assert VerifyKey.from_base64(statement.log.key) == own.public


def test_the_root_key_is_of_no_use_without_its_passphrase(site: SiteFolder) -> None:
    with pytest.raises(BadInput, match="passphrase"):
        keys.read_p256(site.authority / "root.key.pem")


def test_private_keys_can_be_read_by_their_owner_alone(site: SiteFolder) -> None:
    found = list(site.path.rglob("*.key.pem"))
    assert len(found) >= 8
    assert {path.stat().st_mode & 0o777 for path in found} == {0o600}


def test_a_site_is_never_made_over_another(site: SiteFolder) -> None:
    before = {p: p.read_bytes() for p in site.path.rglob("*") if p.is_file()}
    with pytest.raises(AlreadyThere):
        init_site(site, SiteId("st-elsewhere"), ("127.0.0.1",), None, NOW_MS)
    assert {p: p.read_bytes() for p in site.path.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize("name", ["gateway", "site", "Bay 1", "", "bay/1", "-bay", "x" * 49])
def test_a_terminal_cannot_bear_a_name_that_topics_cannot(site: SiteFolder, name: str) -> None:
    with pytest.raises(BadInput):
        identities.add_terminal(site, name, "resus", NOW_MS)


def test_a_terminals_identity_is_made_once(site: SiteFolder) -> None:
    entry = identities.add_terminal(site, "bay-7", "resus", NOW_MS)
    signer = SoftwareSigner.from_pem((site.terminal(entry.terminal) / "batch.key.pem").read_bytes())
    assert entry.batch_key == signer.public.to_base64()
    assert identities.add_terminal(site, "bay-7", "resus", NOW_MS).batch_key == entry.batch_key
    ledger.remember(site, [entry])
    with pytest.raises(AlreadyThere):
        identities.add_terminal(site, "bay-7", "resus", NOW_MS)


def test_openssl_accepts_each_certificate_under_its_own_ca_alone(site: SiteFolder) -> None:
    identities.add_terminal(site, "bay-8", "resus", NOW_MS)
    add_operator(site, OperatorId("ines"), NOW_MS)
    terminal_ca = site.broker / "terminal_ca.crt.pem"
    operator_ca = site.gateway / "operator_ca.crt.pem"
    terminal = site.path / "terminals" / "bay-8" / "terminal.crt.pem"
    operator = site.authority / "operators" / "ines" / "operator.crt.pem"
    crl = ("-crl_check", "-CRLfile", str(site.broker / "terminal.crl.pem"))
    assert _openssl_verify(terminal_ca, terminal, "-purpose", "sslclient", *crl)
    assert _openssl_verify(operator_ca, operator, "-purpose", "sslclient")
    assert _openssl_verify(operator_ca, site.broker / "server.crt.pem", "-purpose", "sslserver")
    assert not _openssl_verify(operator_ca, terminal)
    assert not _openssl_verify(terminal_ca, operator)
    assert not _openssl_verify(terminal_ca, site.broker / "server.crt.pem")


def test_an_operator_needs_a_site(tmp_path: Path) -> None:
    with pytest.raises(NotThere, match="site's folder"):
        add_operator(SiteFolder(tmp_path), OperatorId("ines"), NOW_MS)


def test_the_gateways_client_certificate_names_the_gateway(site: SiteFolder) -> None:
    certificate = keys.read_certificate(site.gateway / "gateway.crt.pem")
    assert certificate.subject.rfc4514_string() == "CN=gateway,O=st-elsewhere"
    usage = certificate.extensions.get_extension_for_oid(ExtensionOID.EXTENDED_KEY_USAGE).value
    assert isinstance(usage, x509.ExtendedKeyUsage)
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]


def test_the_envelope_of_the_key_statement_is_of_its_own_type(site: SiteFolder) -> None:
    envelope = Envelope.from_bytes((site.authority / "keys.dsse").read_bytes())
    assert envelope.payloadType is PayloadType.KEYS


def _openssl_verify(ca: Path, certificate: Path, *options: str) -> bool:
    argv = ["openssl", "verify", "-no-CApath", "-no-CAstore", "-CAfile", str(ca), *options]
    done = subprocess.run([*argv, str(certificate)], capture_output=True, check=False, timeout=10)
    return done.returncode == 0
