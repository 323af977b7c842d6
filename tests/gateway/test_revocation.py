"""Who was retired, replaced or never a terminal: at the real broker, by each way in."""

from __future__ import annotations

import os
import signal
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from contract.certificates import Profile, Subject, build_ca
from contract.enrolment import RefusalAnswer
from contract.ids import TerminalId
from contract.journal import join_lines
from gateway.certificates.issuing import Issuer
from gateway.certificates.revocation import Revocations
from tests.gateway.conftest import World
from tests.gateway.enrolling import Device, Enrolling, made_enrolling, now_ms, serials_in
from tests.gateway.identities import SITE, Ca, Person, Scribe
from tests.gateway.requests import terminal_entry

DAY_MS = 24 * 3600 * 1000


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Enrolling]:
    with made_enrolling(tmp_path_factory.mktemp("revoked")) as site:
        yield site


class Caller:
    """An MQTT 3.1.1 client of a few bytes, whose TLS session can be taken up again."""

    def __init__(self, site: Enrolling, who: Person) -> None:
        self._port, self._name = site.box.broker.port, who.name.encode()
        self._context = ssl.create_default_context(cafile=str(site.ca_file))
        self._context.load_cert_chain(who.certificate_file, who.key_file)
        self.session: ssl.SSLSession | None = None

    def call(self, session: ssl.SSLSession | None = None) -> ssl.SSLSocket:
        """Connected, or an error of the socket."""
        plain = socket.create_connection(("127.0.0.1", self._port), timeout=10)
        try:
            line = self._context.wrap_socket(plain, server_hostname="127.0.0.1", session=session)
        except OSError:
            plain.close()
            raise
        name = len(self._name).to_bytes(2, "big") + self._name
        body = b"\x00\x04MQTT\x04\x02\x00\x3c" + name
        try:
            line.sendall(b"\x10" + bytes([len(body)]) + body)
            if (answer := line.recv(4)) != b"\x20\x02\x00\x00":
                raise ConnectionRefusedError(answer)
        except OSError:
            line.close()
            raise
        self.session = line.session
        return line


def is_refused(caller: Caller, session: ssl.SSLSession | None) -> bool:
    try:
        caller.call(session).close()
    except OSError:
        return True
    return False


def test_a_retired_terminal_is_out_whichever_way_it_comes(site: Enrolling) -> None:
    (device, person), (_, other) = site.enrolled("bay-1", "bay-2")
    caller = Caller(site, person)
    caller.call().close()
    kept = caller.session
    assert kept is not None
    again = caller.call(kept)
    assert again.session_reused, "resumption works as long as nobody is retired"
    kept = caller.session
    live = again
    serial = person.certificate.serial_number
    site.retire(device)
    # The live connection: the broker ends it.
    assert live.recv(16) in (b"", b"\xe0\x00")
    live.close()
    site.until(lambda: site.events("terminal.retired") == 2, "revoked, and the session ended")
    assert serial in serials_in(site.box.broker.crl)
    assert not site.connects(person)
    assert is_refused(caller, None)
    assert is_refused(caller, kept)
    with site.terminals(person) as client:
        asked = [client.get("/v1/keys")]
        asked += [client.post("/v1/renewal", content=device.order(by=person.signer))]
        assert [answer.status_code for answer in asked] == [403, 403]
        assert {RefusalAnswer.from_bytes(answer.content).code for answer in asked} == {251}
    assert site.enrol(Device(device.name)).json()["error"] == "terminal-retired"
    assert site.connects(other), "nobody else is disturbed"
    (row,) = site.kept("bay-1")["certificates"]
    assert row["revoked_ms"] <= row["ended_ms"]
    assert site.health()["revocation"]["trouble"] == ""


def test_a_retired_terminal_may_be_granted_again(site: Enrolling) -> None:
    ((device, person),) = site.enrolled("bay-3")
    site.retire(device)
    site.until(lambda: not site.connects(person), "retired")
    ((_, fresh),) = site.enrolled("bay-3")
    assert site.connects(fresh)
    assert not site.connects(person)


def test_a_token_that_was_still_open_ends_with_its_terminal(site: Enrolling) -> None:
    ((device, _),) = site.enrolled("bay-4")
    (late,) = site.grant("bay-4")
    site.retire(device)
    assert site.enrol(late).json()["error"] == "token-unknown"


def test_openssl_finds_the_retired_one_in_the_list_and_lets_the_others_pass(
    site: Enrolling,
) -> None:
    (device, gone), (_, stays) = site.enrolled("bay-5", "bay-6")
    site.retire(device)
    serial = gone.certificate.serial_number
    site.until(lambda: serial in serials_in(site.box.broker.crl), "listed")
    ca = site.box.identity.folder / "terminal_ca.crt.pem"
    verify = ("verify", "-crl_check", "-CRLfile", str(site.box.broker.crl), "-CAfile", str(ca))
    assert site.openssl(*verify, str(stays.certificate_file)).returncode == 0
    said = site.openssl(*verify, str(gone.certificate_file))
    assert said.returncode != 0
    assert b"certificate revoked" in said.stderr + said.stdout


@pytest.mark.parametrize("profile", [Profile.PIV_AUTHENTICATION, Profile.CARD_AUTHENTICATION])
def test_a_certificate_of_the_card_ca_does_not_reach_the_broker(
    site: Enrolling, profile: Profile
) -> None:
    """Nor any listener: not under a holder's name, nor under a terminal's."""
    site.enrolled(name := f"bay-{profile.name.lower().replace('_', '-')}")
    for who in ("h-amal", name, "gateway"):
        card = Person(site.box.folder, site.box.identity.card_ca, profile, who)
        assert not site.connects(card)
        for port in (site.box.https_port, site.box.admin_port):
            with site.box.http(card, port) as client, pytest.raises(httpx.TransportError):
                client.get("/v1/keys")


def test_an_operators_certificate_does_not_reach_the_broker(site: Enrolling) -> None:
    assert not site.connects(site.box.operator)


def test_a_certificate_that_was_made_by_hand_is_revoked_too_once_it_was_shown(
    site: Enrolling,
) -> None:
    person = site.box.terminal("bay-7")
    device = Device("bay-7")
    device.batch = person.signer
    assert site.change(terminal_entry("bay-7", person.signer.public)).status_code == 200
    with site.terminals(person) as client:
        assert client.get("/v1/keys").status_code == 200
    assert site.connects(person)
    site.retire(device)
    site.until(lambda: not site.connects(person), "refused")


def test_the_list_is_for_a_month_and_replaced_when_something_else_lies_there(
    tmp_path: Path,
) -> None:
    with made_enrolling(tmp_path) as site:
        crl = site.box.broker.crl
        site.until(lambda: _number(crl) > 1, "the gateway's own list")
        listed = x509.load_pem_x509_crl(crl.read_bytes())
        assert listed.next_update_utc is not None
        lasts = listed.next_update_utc.timestamp() * 1000 - now_ms()
        assert 29.9 * DAY_MS < lasts <= 30 * DAY_MS
        before = listed.public_bytes(Encoding.PEM)
        crl.write_bytes(b"spoilt")
        assert site.box.gateway.stop() == 0
        site.box.start()
        site.until(lambda: crl.read_bytes() == before, "the list again")


def test_a_broker_that_cannot_be_told_is_an_alarm_and_is_told_when_it_is_back(
    tmp_path: Path,
) -> None:
    with made_enrolling(tmp_path) as site:
        ((device, person),) = site.enrolled("bay-1")
        site.until(lambda: site.health()["revocation"]["trouble"] == "", "all is well")
        pid_file = site.box.broker.pid_file
        pid = pid_file.read_text()
        pid_file.write_text("nobody\n")
        site.retire(device)
        site.until(lambda: site.alarms("crl-not-renewed") == 1, "the alarm")
        assert "process number" in site.health()["revocation"]["trouble"]
        assert site.connects(person), "the broker has not read it yet"
        scribe = Scribe(device.name, device.batch)
        _, envelope, bodies = scribe.cut(scribe.some(3))
        assert site.says(person, "audit", join_lines(envelope, bodies))
        site.until(lambda: site.kept("bay-1")["late_batches"] == 1, "kept apart")
        assert site.events("batch.kept-apart") == 1
        assert site.health()["events"] == 0, "and no part of the log"
        pid_file.write_text(pid)
        # The gateway went down over it: what is left to do stands in its database.
        os.kill(site.box.gateway.pid, signal.SIGKILL)
        site.box.gateway.wait_ended()
        site.box.start()
        site.until(lambda: not site.connects(person), "refused")
        site.until(lambda: site.health()["revocation"]["trouble"] == "", "all is well again")
        site.until(lambda: site.events("terminal.retired") == 2, "the session is ended")


def test_a_list_that_cannot_be_written_is_an_alarm(tmp_path: Path) -> None:
    nowhere = tmp_path / "gone" / "crl.pem"
    with made_enrolling(tmp_path, crl_file=str(nowhere)) as site:
        site.until(lambda: site.alarms("crl-not-renewed") == 1, "the alarm")
        assert "crl.pem" in site.health()["revocation"]["trouble"]
        (device,) = site.grant("bay-1")
        assert site.enrol(device).status_code == 200


async def test_the_list_is_signed_anew_each_day_long_before_it_ends(
    world: World, tmp_path: Path
) -> None:
    issuer = Issuer(world.identity.terminal_ca.certificate, world.identity.terminal_ca.key, SITE)

    async def nobody(_: TerminalId) -> None:
        pytest.fail("nobody was retired")

    crl = tmp_path / "crl.pem"
    keeper = Revocations(world.store, world.evidence, issuer, crl, None, nobody, world.clock)
    numbers, left_days = [], []
    for _ in range(40):
        assert keeper.renew() == []
        listed = x509.load_pem_x509_crl(crl.read_bytes())
        assert listed.next_update_utc is not None
        numbers.append(_number(crl))
        left_days.append(listed.next_update_utc.timestamp() - world.clock.wall_ms() / 1000)
        assert keeper.renew() == []
        assert _number(crl) == numbers[-1], "and no oftener"
        world.clock.advance(24 * 3600)
    assert numbers == list(range(1, 41))
    assert min(left_days) > 29 * 24 * 3600
    assert keeper.health.until_ms > world.clock.wall_ms()


async def test_a_list_of_another_ca_stays_beside_while_a_rotation_overlaps(
    world: World, tmp_path: Path
) -> None:
    before = Ca(Profile.TERMINAL_CA)
    named = Subject("terminals-before", SITE)
    certificate = build_ca(Profile.TERMINAL_CA, named, before.key, 7, before.validity)
    old = Issuer(certificate, before.key, SITE).revocation_list([1], 9, world.clock.wall_ms())
    crl = tmp_path / "crl.pem"
    crl.write_bytes(old)
    issuer = Issuer(world.identity.terminal_ca.certificate, world.identity.terminal_ca.key, SITE)

    async def nobody(_: TerminalId) -> None:
        pytest.fail("nobody was retired")

    keeper = Revocations(world.store, world.evidence, issuer, crl, None, nobody, world.clock)
    keeper.renew()
    assert crl.read_bytes().endswith(old)
    assert _number(crl) == 10, "never below a number that was seen"


def _number(crl: Path) -> int:
    listed = x509.load_pem_x509_crl(crl.read_bytes())
    return listed.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
