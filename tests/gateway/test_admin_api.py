"""The administration interface: described as it is, and limited in how often one may ask."""

from __future__ import annotations

import json
import secrets
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from contract.certificates import Profile
from contract.directory import Status
from contract.ids import Digest
from contract.wire import decode_base64
from gateway.evidence.journal import Moment
from gateway.http.limits import Buckets, Rate
from gateway.http.openapi import admin_app, describe
from gateway.http.operators import ADDRESS_RATE, OPERATOR_RATE
from gateway.http.terminals import PROOFS_AT_ONCE
from runtime.clock import ManualClock, SystemClock
from tests.gateway.conftest import Box, made_box
from tests.gateway.identities import Person
from tests.gateway.staff import Colleague, member, with_status
from tests.test_house.tree import ROOT

CLOCK = SystemClock()
FILE = ROOT / "docs" / "api" / "admin.openapi.json"
DESCRIBED: dict[str, Any] = json.loads(FILE.read_text())
OPERATIONS = [
    (path, method, one) for path, item in DESCRIBED["paths"].items() for method, one in item.items()
]


class Admin:
    """A running gateway, and two operators."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self.ines = box.operator
        self.otto = Person(box.folder, box.identity.operator_ca, Profile.OPERATOR, "otto")

    def colleague(self, who: Person) -> Colleague:
        colleague = Colleague(who.name)
        colleague.signer = who.signer
        return colleague

    def ask(self, who: Person, method: str, path: str, body: bytes = b"") -> Any:  # noqa: ANN401
        with self.box.http(who, self.box.admin_port) as client:
            return client.request(method, path, content=body)


@pytest.fixture
def admin(short_tmp: Path) -> Iterator[Admin]:
    with made_box(short_tmp) as box:
        box.start()
        yield Admin(box)


def test_the_file_describes_the_routes_as_they_are() -> None:
    hint = "python -m gateway.http.openapi > docs/api/admin.openapi.json"
    assert describe(admin_app()) == FILE.read_text(), hint
    assert DESCRIBED["openapi"].startswith("3.1.")


def test_each_operation_says_what_it_takes_and_how_it_refuses() -> None:
    names = [one["operationId"] for _, _, one in OPERATIONS]
    assert len(set(names)) == len(names) > 10
    for path, method, one in OPERATIONS:
        assert "429" in one["responses"], path
        assert {"200"} & one["responses"].keys(), path
        if method == "post" and not path.endswith("/steps"):
            assert one["requestBody"]["description"], path
            assert "413" in one["responses"], path
        for parameter in one.get("parameters", []):
            bounds = {"pattern", "maximum", "exclusiveMaximum"}
            assert bounds & parameter["schema"].keys(), (path, parameter["name"])


def test_two_operators_go_the_described_way_from_a_stop_to_a_version(admin: Admin) -> None:
    ines, otto = admin.colleague(admin.ines), admin.colleague(admin.otto)
    people = [member(n) for n in range(60)]
    first = admin.ask(admin.ines, "POST", "/v1/changes", ines.request(*people))
    assert first.status_code == 200
    request = ines.request(*(with_status(one, Status.REVOKED) for one in people[:30]))
    stopped = admin.ask(admin.ines, "POST", "/v1/changes", request)
    assert stopped.status_code == 202
    subject = Digest(stopped.json()["subject"])
    assert stopped.json()["findings"]["people"] == 30

    (waiting,) = admin.ask(admin.otto, "GET", "/v1/held").json()["waiting"]
    assert (waiting["subject"], waiting["state"], waiting["left"]) == (subject, "waiting", 1)
    assert admin.ask(admin.otto, "GET", f"/v1/held/{subject}").json() == waiting
    envelope = admin.ask(admin.otto, "GET", f"/v1/held/{subject}/envelope").content
    assert envelope == request.split(b"\n")[0]
    assert admin.ask(admin.otto, "GET", f"/v1/held/{subject}/requests/0").content == request

    now = Moment.of(CLOCK)
    own = admin.ask(admin.ines, "POST", "/v1/approvals", ines.approval(subject, now))
    assert (own.status_code, own.json()["detail"]) == (
        403,
        "another operator than the one who asked must approve",
    )
    done = admin.ask(admin.otto, "POST", "/v1/approvals", otto.approval(subject, now))
    assert (done.status_code, done.json()["state"]) == (200, "done")
    assert done.json()["version"] == {"epoch": 1, "n": 2}
    answer = admin.ask(admin.ines, "GET", "/v1/directory/changes?epoch=1&after=1").json()
    (message,) = answer["changes"]
    assert decode_base64(message).count(b"\n") == 30
    again = admin.ask(admin.ines, "POST", "/v1/changes", request)
    assert (again.status_code, again.json()["version"]) == (200, {"epoch": 1, "n": 2})


def test_what_is_not_there_is_not_found(admin: Admin) -> None:
    nothing = "0" * 64
    for path in ("", "/envelope", "/requests/0"):
        assert admin.ask(admin.ines, "GET", f"/v1/held/{nothing}{path}").status_code == 404
    assert admin.ask(admin.ines, "POST", f"/v1/sets/{nothing}/steps").status_code == 404
    assert admin.ask(admin.ines, "GET", "/v1/held/no-digest").status_code == 422
    answer = admin.ask(admin.ines, "GET", "/v1/directory/changes?epoch=9&after=9")
    assert answer.status_code == 410


@pytest.mark.parametrize("path", ["/v1/changes", "/v1/sets", "/v1/approvals"])
def test_what_is_too_large_is_refused_unread(admin: Admin, path: str) -> None:
    assert admin.ask(admin.ines, "POST", path, b"x" * 2_000_000).status_code == 413


def test_who_asks_too_often_hears_when_to_come_back_and_others_are_answered(
    admin: Admin,
) -> None:
    with admin.box.http(admin.ines, admin.box.admin_port) as client:
        answers = [client.get("/healthz") for _ in range(OPERATOR_RATE.burst * 2)]
    limited = [one for one in answers if one.status_code == 429]
    assert limited
    assert {one.status_code for one in answers[: OPERATOR_RATE.burst]} == {200}
    assert int(limited[0].headers["Retry-After"]) == 1
    assert limited[0].json()["detail"] == "too many requests: ask again in 1 s"
    assert ADDRESS_RATE.burst > OPERATOR_RATE.burst
    assert admin.ask(admin.otto, "GET", "/healthz").status_code == 200


def test_who_is_refused_again_and_again_waits_and_fills_no_journal(admin: Admin) -> None:
    size = admin.ask(admin.ines, "GET", "/healthz").json()["log_size"]
    with admin.box.http(admin.ines, admin.box.admin_port) as client:
        answers = [client.post("/v1/changes", content=secrets.token_bytes(9)) for _ in range(60)]
    refused = sum(one.status_code == 403 for one in answers)
    assert 30 <= refused <= 40
    assert answers[-1].json()["detail"].startswith("too many refused requests: ask again in ")
    assert admin.ask(admin.ines, "GET", "/healthz").json()["log_size"] <= size + refused


def test_a_terminal_has_two_questions_for_proofs_under_way_at_most(admin: Admin) -> None:
    box, terminal = admin.box, admin.box.terminal("bay-1")
    context = ssl.create_default_context(cafile=str(box.identity.folder / "operator_ca.crt.pem"))
    context.load_cert_chain(terminal.certificate_file, terminal.key_file)
    asked = (
        b"POST /v1/log/inclusion HTTP/1.1\r\nHost: gateway\r\n"
        b"Expect: 100-continue\r\nContent-Length: 9\r\n\r\n"
    )
    with ExitStack() as open_:
        for _ in range(PROOFS_AT_ONCE):  # begun, and never ended
            address = ("127.0.0.1", box.https_port)
            plain = open_.enter_context(socket.create_connection(address, timeout=10))
            tls = open_.enter_context(context.wrap_socket(plain, server_hostname="localhost"))
            tls.sendall(asked)
            assert tls.recv(64).startswith(b"HTTP/1.1 100")  # its body is being waited for
        with box.http(terminal, box.https_port) as client:
            body = {"size": 1, "leaves": [0]}
            answer = client.post("/v1/log/inclusion", json=body)
            assert answer.status_code == 429
            assert answer.headers["Retry-After"] == "1"
            assert client.get("/v1/keys").status_code == 200
        other = box.terminal("bay-2")
        with box.http(other, box.https_port) as client:
            assert client.post("/v1/log/inclusion", json=body).status_code == 200


def test_a_bucket_fills_again_with_time_and_each_caller_has_his_own() -> None:
    clock = ManualClock()
    buckets = Buckets(Rate(a_second=2, burst=3), clock)
    for _ in range(3):
        assert buckets.wait_s("a") == 0
        buckets.take("a")
    assert (buckets.wait_s("a"), buckets.wait_s("b")) == (1, 0)
    clock.advance(0.5)
    assert buckets.wait_s("a") == 0
    buckets.take("a")
    assert buckets.wait_s("a") == 1
    clock.advance(3600)
    for _ in range(3):
        buckets.take("a")
    assert buckets.wait_s("a") == 1
