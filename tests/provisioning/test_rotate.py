"""Each key of a site can be replaced, and foreign software accepts what comes of it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509

from benchmarks.ward import identities
from contract.ids import Digest, OperatorId, SiteId, TerminalId
from contract.signing import Signer, SoftwareSigner
from contract.statements import KeyStatement
from gateway import authority
from gateway.authority import server_context
from provisioning.errors import BadInput, FolderBusy, NotThere, OverlapOpen, RotationCutOff
from provisioning.site import keys, making, roots, rotate, rotate_root
from provisioning.site.folder import SiteFolder, add_operator, init_site
from provisioning.site.roots import FileRoot
from provisioning.site.rotate import Key
from runtime.clock import SystemClock
from runtime.settings import CertificateError
from tests.parts import program

NOW_MS = SystemClock().wall_ms()
PASSPHRASE = "correct horse"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SiteFolder:
    folder = SiteFolder(tmp_path_factory.mktemp("rotate") / "site")
    hosts = ("127.0.0.1", "gateway.example")
    init_site(folder, SiteId("st-elsewhere"), hosts, PASSPHRASE.encode(), NOW_MS)
    add_operator(folder, OperatorId("ines"), NOW_MS)
    identities.add_terminal(folder, "bay-1", "resus", NOW_MS)
    return folder


@pytest.fixture
def site(made: SiteFolder, tmp_path: Path) -> SiteFolder:
    shutil.copytree(made.path, tmp_path / "site")
    return SiteFolder(tmp_path / "site")


def done(site: SiteFolder, key: Key, *, end: bool = False) -> KeyStatement:
    """The rotation, or the end of its overlap; the key statement then in force."""
    if end:
        planned = rotate.plan_end(site, key, NOW_MS)
    elif key is Key.ROOT:
        planned = rotate_root.plan(site, lambda: opened(site), FileRoot(b"another one"), NOW_MS)
    else:
        planned = rotate.plan(site, key, lambda: opened(site), NOW_MS)
    rotate.carry_out(site, planned)
    return rotate.read_statement(site)[1]


def opened(site: SiteFolder) -> Signer:
    return roots.open_root(site.authority, lambda _: PASSPHRASE)


def load_gateway(site: SiteFolder) -> authority.Authority:
    """As the gateway does when it starts."""
    root = Digest(site.root_fingerprint)
    return authority.load(site.gateway, site.site, root, NOW_MS)


@pytest.mark.parametrize("key", Key)
def test_a_gateway_starts_with_what_a_rotation_made(site: SiteFolder, key: Key) -> None:
    before = rotate.read_statement(site)[1]
    after = done(site, key)
    known = load_gateway(site)
    assert known.keys == after
    changed = {
        name for name in type(after).model_fields if getattr(after, name) != getattr(before, name)
    }
    named = {Key.STATEMENT: "statement_key", Key.LOG: "log"}.get(key, key.replace("-", "_"))
    if key in (Key.SERVERS, Key.OPERATORS):
        assert changed == set()
    else:
        assert changed == {"epoch", "issued_ms", named}
        assert after.epoch == before.epoch + 1
        assert after.issued_ms > before.issued_ms
        kept = (site.authority / "statements" / f"{before.epoch}.dsse").read_bytes()
        assert len(kept) > 0
    assert after.log.epoch == before.log.epoch
    assert (before.log.key != after.log.key) is (key is Key.LOG)


def test_both_terminal_cas_are_believed_until_the_overlap_ends(site: SiteFolder) -> None:
    old = site.terminal(TerminalId("bay-1")) / "terminal.crt.pem"
    cafile, crl = site.broker / "terminal_ca.crt.pem", site.broker / "terminal.crl.pem"
    done(site, Key.TERMINAL_CA)
    identities.add_terminal(site, "bay-2", "resus", NOW_MS)
    new = site.path / "terminals" / "bay-2" / "terminal.crt.pem"
    check = ("-crl_check", "-CRLfile", str(crl), "-purpose", "sslclient")
    for certificate in (old, new, site.gateway / "gateway.crt.pem"):
        assert verified(cafile, certificate, *check), certificate
    assert len(server_context(load_gateway(site).terminals).get_ca_certs()) == 2
    with pytest.raises(OverlapOpen):
        done(site, Key.TERMINAL_CA)
    done(site, Key.STATEMENT)
    assert len(server_context(load_gateway(site).terminals).get_ca_certs()) == 2

    done(site, Key.TERMINAL_CA, end=True)
    assert verified(cafile, new, *check)
    assert not verified(cafile, old, *check)
    assert len(server_context(load_gateway(site).terminals).get_ca_certs()) == 1
    assert list(site.gateway.glob("*before*")) == []
    with pytest.raises(OverlapOpen):
        done(site, Key.TERMINAL_CA, end=True)


def test_a_terminal_revoked_before_the_rotation_stays_revoked(site: SiteFolder) -> None:
    path = site.terminal(TerminalId("bay-1")) / "terminal.crt.pem"
    serial = keys.read_certificate(path).serial_number
    revoked = keys.Authority.load(site.gateway, "terminal_ca").revoke([serial], 2, NOW_MS)
    crl, cafile = site.broker / "terminal.crl.pem", site.broker / "terminal_ca.crt.pem"
    crl.write_bytes(revoked)
    done(site, Key.TERMINAL_CA)
    check = ("-crl_check", "-CRLfile", str(crl))
    assert not verified(cafile, path, *check)
    assert verified(cafile, site.gateway / "gateway.crt.pem", *check)


def test_operators_and_servers_have_certificates_of_the_new_ca_for_the_same_keys_and_names(
    site: SiteFolder,
) -> None:
    operator = site.operator(OperatorId("ines")) / "operator.crt.pem"
    before = keys.read_certificate(operator)
    (site.path / "old.pem").write_bytes(keys.certificate_pem(before))
    done(site, Key.OPERATOR_CA)
    ca = site.gateway / "operator_ca.crt.pem"
    assert keys.read_certificate(operator).public_key() == before.public_key()
    assert verified(ca, operator, "-purpose", "sslclient")
    for part in (site.gateway, site.broker):
        server = part / "server.crt.pem"
        assert verified(ca, server, "-purpose", "sslserver", "-verify_ip", "127.0.0.1")
        assert verified(ca, server, "-verify_hostname", "gateway.example")
    assert not verified(ca, site.path / "old.pem")
    assert len(server_context(load_gateway(site).operators).get_ca_certs()) == 2
    done(site, Key.OPERATOR_CA, end=True)
    assert len(server_context(load_gateway(site).operators).get_ca_certs()) == 1


def test_certificates_are_renewed_without_the_root(site: SiteFolder) -> None:
    def nobody_asks() -> Signer:
        raise AssertionError("the root is not needed")

    renewed = {
        Key.SERVERS: [
            site.broker / "server.crt.pem",
            site.gateway / "server.crt.pem",
            site.gateway / "gateway.crt.pem",
        ],
        Key.OPERATORS: [site.operator(OperatorId("ines")) / "operator.crt.pem"],
    }
    for key, paths in renewed.items():
        before = [keys.read_certificate(path) for path in paths]
        rotate.carry_out(site, rotate.plan(site, key, nobody_asks, NOW_MS + 1000))
        for path, old in zip(paths, before, strict=True):
            new = keys.read_certificate(path)
            assert new.serial_number != old.serial_number
            assert new.issuer == old.issuer
            assert (new.public_key() == old.public_key()) is (key is Key.OPERATORS)
    assert verified(site.gateway / "operator_ca.crt.pem", renewed[Key.OPERATORS][0])
    load_gateway(site)


def wrong_root(site: SiteFolder) -> None:
    rotate.plan(site, Key.LOG, lambda: SoftwareSigner(keys.p256()), NOW_MS)


def forged_statement(site: SiteFolder) -> None:
    envelope = rotate.read_statement(site)[1].seal(SoftwareSigner(keys.p256()))
    (site.authority / "keys.dsse").write_bytes(envelope.to_bytes())
    done(site, Key.LOG)


def wrong_passphrase(site: SiteFolder) -> None:
    roots.open_root(site.authority, lambda _: "battery staple")


@pytest.mark.parametrize("what", [wrong_root, forged_statement, wrong_passphrase])
def test_what_is_not_this_sites_root_changes_nothing(
    site: SiteFolder, what: Callable[[SiteFolder], None]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in site.gateway.iterdir()}
    with pytest.raises(BadInput):
        what(site)
    assert {path: path.stat().st_mtime_ns for path in site.gateway.iterdir()} == before


def test_a_new_root_takes_the_place_of_the_old_one_and_is_told_from_it(site: SiteFolder) -> None:
    first = site.root_fingerprint
    done(site, Key.ROOT)
    second = site.root_fingerprint
    assert second != first
    assert rotate_root.declared_roots(site) == [first]
    with pytest.raises(BadInput, match="passphrase"):
        opened(site)
    new = roots.open_root(site.authority, lambda _: "another one")
    assert new.public.key_id == second
    rotate.carry_out(site, rotate.plan(site, Key.LOG, lambda: new, NOW_MS))
    for pinned in (first, second):
        known = authority.load(site.gateway, site.site, Digest(pinned), NOW_MS)
        assert known.roots == (first, second)
    before = {path: path.read_bytes() for path in site.path.rglob("*") if path.is_file()}
    rotate_root.plan(site, lambda: new, FileRoot(None), NOW_MS)
    rotate_root.abandon(site, FileRoot(None))
    assert {path: path.read_bytes() for path in site.path.rglob("*") if path.is_file()} == before


def test_while_one_command_works_on_a_site_another_does_not(site: SiteFolder) -> None:
    with (
        making.working_on(site.path),
        pytest.raises(FolderBusy),
        making.working_on(site.path),
    ):
        raise AssertionError("two at once")


def test_no_command_takes_a_rotation_that_was_cut_off_for_whole(site: SiteFolder) -> None:
    (site.path / "change").mkdir()
    with pytest.raises(RotationCutOff):
        add_operator(site, OperatorId("olu"), NOW_MS)
    with pytest.raises(NotThere):
        SiteFolder(site.path / "nowhere").require()


def test_a_gateway_that_was_given_half_of_a_rotation_does_not_start(site: SiteFolder) -> None:
    before = (site.gateway / "statement.key.pem").read_bytes()
    done(site, Key.STATEMENT)
    (site.gateway / "statement.key.pem").write_bytes(before)
    with pytest.raises(CertificateError, match=r"statement\.key\.pem"):
        load_gateway(site)


def test_two_cas_of_one_kind_have_names_of_their_own(site: SiteFolder) -> None:
    names: set[x509.Name] = set()
    for _ in range(2):
        names.add(keys.read_certificate(site.gateway / "terminal_ca.crt.pem").subject)
        done(site, Key.TERMINAL_CA)
        done(site, Key.TERMINAL_CA, end=True)
    names.add(keys.read_certificate(site.gateway / "terminal_ca.crt.pem").subject)
    assert len(names) == 3


def verified(ca: Path, certificate: Path, *options: str) -> bool:
    argv = [program("openssl"), "verify", "-no-CApath", "-no-CAstore", "-CAfile", str(ca), *options]
    found = subprocess.run([*argv, str(certificate)], capture_output=True, check=False, timeout=10)
    return found.returncode == 0
