"""Devices become terminals, on a running gateway beside a real broker: what is let in, and how."""

from __future__ import annotations

import base64
import resource
import secrets
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from contract.administration import Decision
from contract.certificates import Profile
from contract.directory import Terminal, parse_entry
from contract.enrolment import Issued, Pending, RefusalAnswer, check_order
from contract.enrolment import Order as OrderRecord
from contract.ids import KeyId, SiteId
from contract.signing import Envelope, SoftwareSigner
from contract.statements import KeyStatement, RootRefused
from contract.wire import decode_base64
from tests.gateway.enrolling import CODE, Device, Enrolling, basic, made_enrolling, now_ms
from tests.gateway.identities import SITE, SiteIdentity

DAY_MS = 24 * 3600 * 1000


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Enrolling]:
    with made_enrolling(tmp_path_factory.mktemp("enrol")) as site:
        yield site


def named(what: str = "bay") -> str:
    """A name that no other test uses."""
    return f"{what}-{secrets.token_hex(4)}"


def refused(answer: httpx.Response, error: str, code: int, status: int) -> None:
    said = RefusalAnswer.from_bytes(answer.content)
    assert (said.error, said.code, answer.status_code) == (error, code, status)
    assert said.detail


def nothing_of(site: Enrolling, name: str) -> bool:
    kept = site.kept(name)
    return kept["certificates"] == [] and kept["entry"] is None


def test_a_device_with_its_token_becomes_a_terminal_of_the_register(site: Enrolling) -> None:
    (device,) = site.grant(named())
    answer = site.enrol(device)
    assert answer.status_code == 200
    issued = Issued.from_bytes(answer.content)
    kept = site.kept(device.name)
    entry = parse_entry(base64.b64decode(str(kept["entry"])))
    assert isinstance(entry, Terminal)
    assert (entry.terminal, entry.ward, entry.state) == (device.name, "ed", "active")
    assert entry.batch_key == device.batch.public.to_base64()
    person = device.identity(site.box.folder, decode_base64(issued.certificate))
    person.certificate.verify_directly_issued_by(site.box.identity.terminal_ca.certificate)
    lasts = person.certificate.not_valid_after_utc.timestamp() * 1000 - now_ms()
    assert 29.9 * DAY_MS < lasts <= 30 * DAY_MS
    assert site.connects(person)
    with site.terminals(person) as client:
        found = client.get("/v1/directory/changes?epoch=0&after=0").json()["changes"]
    lines = [line for message in found for line in decode_base64(message).split(b"\n")[1:]]
    assert base64.b64decode(str(kept["entry"])) in lines


def test_the_fingerprint_is_checked_before_anything_secret_is_said(site: Enrolling) -> None:
    with site.strangers() as client:
        envelope = Envelope.from_bytes(client.get("/v1/keys").content)
    own = KeyStatement.open_pinned(envelope, KeyId(site.box.identity.fingerprint))
    assert own.site == SITE
    with pytest.raises(RootRefused):
        KeyStatement.open_pinned(envelope, KeyId("00" * 32))


def test_an_answer_that_was_lost_is_given_again_without_an_alarm(site: Enrolling) -> None:
    (device,) = site.grant(named())
    order = device.order()
    before = site.alarms("token-reused")
    first, second = site.enrol(device, order), site.enrol(device, device.order())
    assert first.content == second.content
    assert site.alarms("token-reused") == before
    assert len(site.kept(device.name)["certificates"]) == 1


def test_a_token_serves_once_and_its_second_use_is_an_alarm(site: Enrolling) -> None:
    (device,) = site.grant(named())
    assert site.enrol(device).status_code == 200
    thief = Device(device.name, device.token)
    before = site.alarms("token-reused")
    refused(site.enrol(thief), "token-used", 245, 403)
    assert site.alarms("token-reused") == before + 1
    refused(site.enrol(thief), "token-used", 245, 403)
    assert site.alarms("token-reused") == before + 1
    assert len(site.kept(device.name)["certificates"]) == 1


def test_one_token_under_forty_attempts_at_once_lets_one_in(site: Enrolling) -> None:
    (device,) = site.grant(named())
    others = [Device(device.name, device.token) for _ in range(40)]
    orders = [one.order() for one in others]
    with ThreadPoolExecutor(40) as at_once:
        answers = list(at_once.map(site.enrol, others, orders))
    counted = Counter(answer.status_code for answer in answers)
    assert counted == {200: 1, 403: 39}
    assert {RefusalAnswer.from_bytes(a.content).error for a in answers if a.status_code == 403} == {
        "token-used"
    }
    kept = site.kept(device.name)
    assert len(kept["certificates"]) == 1
    (winner,) = [one for one, a in zip(others, answers, strict=True) if a.status_code == 200]
    entry = parse_entry(base64.b64decode(str(kept["entry"])))
    assert isinstance(entry, Terminal)
    assert entry.batch_key == winner.batch.public.to_base64()


def test_forty_terminals_enrol_at_once(tmp_path: Path) -> None:
    with made_enrolling(tmp_path) as site:
        devices = site.grant(*[f"bay-{n}" for n in range(40)])
        orders = [device.order() for device in devices]
        with ThreadPoolExecutor(40) as at_once:
            began, cpu = time.monotonic(), site.cpu_s()
            answers = list(at_once.map(site.enrol, devices, orders))
            took, cpu = time.monotonic() - began, site.cpu_s() - cpu
        assert [answer.status_code for answer in answers] == [200] * 40
        print(f"40 terminals enrolled at once in {took:.2f} s; gateway CPU {cpu:.2f} s")
        assert site.alarms("token-reused") == 0
        assert site.events("terminal.enrolled") == 40
        with site.operators() as client:
            rows = client.get("/v1/fleet").json()["terminals"]
        assert [row["state"] for row in rows] == ["active"] * 40
        again = [Device(device.name, device.token) for device in devices[:5]]
        assert all(site.enrol(one).status_code == 403 for one in again)


def test_what_does_not_fit_is_refused_and_leaves_nothing(site: Enrolling) -> None:
    (device,) = site.grant(named())
    stranger = Device(device.name, device.token[:-4] + "AAAA")
    refused(site.enrol(stranger), "token-unknown", 243, 401)
    (other,) = site.grant(named("other"))
    crossed = Device(device.name, other.token)
    refused(site.enrol(crossed), "name-mismatch", 246, 403)
    refused(site.enrol(device, device.order(device.csr("somebody"))), "name-mismatch", 246, 403)
    refused(site.enrol(device, name="somebody"), "name-mismatch", 246, 403)
    elsewhere = Device(device.name, device.token, SiteId("elsewhere"))
    refused(site.enrol(elsewhere), "other-site", 247, 403)
    unsigned = device.order(by=SoftwareSigner(ec.generate_private_key(ec.SECP256R1())))
    refused(site.enrol(device, unsigned), "signature-refused", 249, 403)
    weak = device.csr(key=ec.generate_private_key(ec.SECP384R1()))
    refused(site.enrol(device, device.order(weak)), "key-refused", 248, 403)
    refused(site.enrol(device, b"{}"), "malformed", 240, 400)
    refused(site.enrol(device, b" " * 20_000), "too-large", 241, 413)
    refused(site.enrol(Device(named(), "")), "terminal-unknown", 250, 403)
    for one in (device, other):
        assert nothing_of(site, one.name)
        assert site.enrol(one).status_code == 200


def test_a_token_that_lay_too_long_ends_in_eight_letters_that_an_operator_approves(
    site: Enrolling,
) -> None:
    name, end_ms = named(), now_ms() + 300
    (device,) = site.grant(name, until_ms=end_ms)
    site.until(lambda: now_ms() > end_ms, "the token's end")
    refused(site.enrol(device), "token-expired", 244, 403)
    token, device.token = device.token, ""
    answer = site.enrol(device)
    assert answer.status_code == 202
    pending = Pending.from_bytes(answer.content)
    assert pending.code == device.code
    assert CODE.match(pending.code)
    assert int(answer.headers["retry-after"]) == pending.retry_s
    with site.operators() as client:
        waiting = client.get("/v1/enrolments").json()["waiting"]
    (shown,) = [one for one in waiting if one["code"] == pending.code]
    assert (shown["terminal"], shown["address"]) == (name, "127.0.0.1")
    assert nothing_of(site, name)
    answer = site.approve(pending.code, shown["request"])
    assert answer.status_code == 200, answer.text
    answer = site.enrol(device)
    assert answer.status_code == 200
    person = device.identity(
        site.box.folder, decode_base64(Issued.from_bytes(answer.content).certificate)
    )
    assert site.connects(person)
    device.token = token


def test_letters_of_other_keys_and_a_word_on_another_request_let_nobody_in(
    site: Enrolling,
) -> None:
    first, second = site.grant(named())[0], site.grant(named())[0]
    first.token = second.token = ""
    codes = [Pending.from_bytes(site.enrol(one).content).code for one in (first, second)]
    assert codes[0] != codes[1]
    with site.operators() as client:
        waiting = {one["code"]: one for one in client.get("/v1/enrolments").json()["waiting"]}
    assert site.approve(codes[0], waiting[codes[1]]["request"]).status_code == 403
    assert site.approve("ABCDEFGH", waiting[codes[0]]["request"]).status_code == 404
    refusal = site.approve(codes[1], waiting[codes[1]]["request"], Decision.REFUSE)
    assert refusal.json() == {"terminal": second.name, "directory": None}
    refused(site.enrol(second), "terminal-unknown", 250, 403)
    assert site.enrol(first).status_code == 202
    assert nothing_of(site, first.name)
    assert nothing_of(site, second.name)


def test_who_pretends_to_be_a_terminal_without_a_token_fills_nothing(site: Enrolling) -> None:
    (device,) = site.grant(named())
    pretenders = [Device(device.name) for _ in range(6)]
    answers = [site.enrol(one) for one in pretenders]
    assert [answer.status_code for answer in answers] == [202] * 4 + [429] * 2
    assert int(answers[-1].headers["retry-after"]) >= 1
    # Whom an operator turned away makes room for the next.
    with site.operators() as client:
        waiting = client.get("/v1/enrolments").json()["waiting"]
    (shown,) = [one for one in waiting if one["code"] == pretenders[0].code]
    assert site.approve(shown["code"], shown["request"], Decision.REFUSE).status_code == 200
    assert site.enrol(pretenders[5]).status_code == 202
    refused(site.enrol(pretenders[0]), "terminal-unknown", 250, 403)
    assert site.enrol(device).status_code == 200


def test_a_terminal_that_enrols_anew_replaces_whoever_bore_the_name(site: Enrolling) -> None:
    ((old, person),) = site.enrolled(named())
    assert site.connects(person)
    (fresh,) = site.grant(old.name)
    assert site.enrol(fresh).status_code == 200
    kept = site.kept(old.name)
    revoked = [one["revoked_ms"] is not None for one in kept["certificates"]]
    assert sorted(revoked) == [False, True]
    site.until(lambda: not site.connects(person), "the replaced one is refused")
    with site.terminals(person) as client:
        refused(client.get("/v1/keys"), "certificate-refused", 252, 403)


def test_an_operators_grant_is_his_alone_and_of_today(site: Enrolling) -> None:
    device = Device(named(), "A" * 43)
    foreign = SoftwareSigner(ec.generate_private_key(ec.SECP256R1()))
    assert site.send_grant([device], signer=foreign).status_code == 403
    yesterday = now_ms() - 4 * DAY_MS
    assert site.send_grant([device], issued_ms=yesterday).status_code == 403
    assert nothing_of(site, device.name)


def test_a_renewal_is_signed_by_the_old_key(site: Enrolling) -> None:
    ((device, person),) = site.enrolled(named())
    old_key = person.signer
    device.key = ec.generate_private_key(ec.SECP256R1())
    order = device.order(by=old_key)
    with site.terminals(person) as client:
        answer = client.post("/v1/renewal", content=order)
        assert answer.status_code == 200, answer.text
        assert client.post("/v1/renewal", content=order).content == answer.content
        refused(client.post("/v1/renewal", content=device.order()), "signature-refused", 249, 403)
        elsewhere = device.order(device.csr("somebody"), by=old_key, name="somebody")
        refused(client.post("/v1/renewal", content=elsewhere), "name-mismatch", 246, 403)
    certificate = decode_base64(Issued.from_bytes(answer.content).certificate)
    renewed = device.identity(site.box.folder, certificate)
    assert site.connects(renewed)
    assert site.connects(person), "the old one serves until it ends"
    checked = check_order(OrderRecord.from_bytes(order), SITE, old_key.public)
    assert checked.request.terminal == device.name


def test_a_renewal_cannot_change_the_batch_key(site: Enrolling) -> None:
    ((device, person),) = site.enrolled(named())
    device.batch = SoftwareSigner(ec.generate_private_key(ec.SECP256R1()))
    with site.terminals(person) as client:
        answer = client.post("/v1/renewal", content=device.order(by=person.signer))
    refused(answer, "key-refused", 248, 403)


def test_a_certificate_of_another_site_opens_no_door(site: Enrolling, tmp_path: Path) -> None:
    ((device, _),) = site.enrolled(named())
    other = SiteIdentity(tmp_path / "other")
    foreign = device.identity(tmp_path, _foreign(other, device))
    with site.terminals(foreign) as client, pytest.raises(httpx.TransportError):
        client.post("/v1/renewal", content=device.order(by=foreign.signer))
    assert not site.connects(foreign)


def test_curl_and_openssl_are_an_est_client(site: Enrolling, tmp_path: Path) -> None:
    """RFC 7030, by nobody's code of ours."""
    (device,) = site.grant(named())
    url = f"https://127.0.0.1:{site.enrol_port}/.well-known/est"
    status, body = site.curl(f"{url}/cacerts")
    ca = site.openssl("pkcs7", "-inform", "DER", "-print_certs", stdin=base64.b64decode(body))
    (tmp_path / "ca.pem").write_bytes(ca.stdout)
    assert (status, ca.returncode) == (200, 0)
    key, csr = tmp_path / "key.pem", tmp_path / "csr.der"
    made = site.openssl(
        *("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
        *("-keyout", str(key), "-subj", f"/CN={device.name}", "-outform", "DER", "-out", str(csr)),
    )
    assert made.returncode == 0, made.stderr
    (tmp_path / "csr.b64").write_bytes(base64.encodebytes(csr.read_bytes()))
    secret = tmp_path / "header"
    secret.write_text(f"Authorization: {basic(device.name, device.token)}\n")
    post = ("-H", "Content-Type: application/pkcs10", "--data-binary", f"@{tmp_path}/csr.b64")
    assert site.curl(*post, f"{url}/simpleenroll")[0] == 401
    status, body = site.curl("-H", f"@{secret}", *post, f"{url}/simpleenroll")
    assert status == 200, body
    certificate = tmp_path / "crt.pem"
    _pkcs7_to_pem(site, body, certificate)
    crl = site.box.broker.crl
    verified = site.openssl(
        *("verify", "-x509_strict", "-crl_check", "-CRLfile", str(crl)),
        *("-purpose", "sslclient", "-CAfile", str(tmp_path / "ca.pem"), str(certificate)),
    )
    assert verified.returncode == 0, verified.stdout + verified.stderr
    renew = f"https://127.0.0.1:{site.box.https_port}/.well-known/est/simplereenroll"
    status, body = site.curl("--cert", str(certificate), "--key", str(key), *post, renew)
    assert status == 200, body
    _pkcs7_to_pem(site, body, tmp_path / "renewed.pem")


def test_a_full_disk_refuses_and_the_token_serves_afterwards(tmp_path: Path) -> None:
    with made_enrolling(tmp_path) as site:
        (device,) = site.grant("bay-1")
        with no_room(site):
            refused(site.enrol(device), "store-failed", 253, 503)
        assert nothing_of(site, "bay-1")
        site.until(lambda: site.enrol(device).status_code == 200, "room again")
        assert len(site.kept("bay-1")["certificates"]) == 1
        assert site.alarms("token-reused") == 0


@pytest.mark.full
def test_what_strangers_send_is_rated(tmp_path: Path) -> None:
    with made_enrolling(tmp_path) as site, site.strangers() as client:
        statuses = Counter(
            client.post("/v1/enrolment", content=b"{}").status_code for _ in range(600)
        )
        assert statuses[429] > 100
        assert set(statuses) == {400, 429}


def _foreign(other: SiteIdentity, device: Device) -> bytes:
    certificate = other.terminal_ca.issue(Profile.TERMINAL, device.name, device.key.public_key())
    return certificate.public_bytes(Encoding.DER)


def _pkcs7_to_pem(site: Enrolling, body: bytes, path: Path) -> None:
    done = site.openssl("pkcs7", "-inform", "DER", "-print_certs", stdin=base64.b64decode(body))
    assert done.returncode == 0, done.stderr
    path.write_bytes(done.stdout)


@contextmanager
def no_room(site: Enrolling) -> Iterator[None]:
    """The gateway's process may write no further byte into any file (EFBIG, as a full disk)."""
    pid = site.box.gateway.pid
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
