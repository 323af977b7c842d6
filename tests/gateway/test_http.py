"""Both listeners with real TLS: who gets in, what they get, and what they may not send."""

from __future__ import annotations

import secrets
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from contract.certificates import Profile, Validity
from contract.checkpoint import CheckpointMessage, open_checkpoint
from contract.directory import ChunkList, DirectoryManifest, TerminalState
from contract.enrolment import RefusalAnswer
from contract.signing import Envelope, sha256
from contract.wire import decode_base64
from tests.gateway.conftest import Box, made_box
from tests.gateway.identities import SITE, Ca, Person, pem, pem_key
from tests.gateway.requests import request, terminal_entry
from tests.gateway.test_directory import entitlement


class Served:
    """A running gateway without a broker (it waits for it), an operator and a terminal."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self.operator = box.operator
        self.terminal = box.terminal("bay-1")

    def terminals(self, who: Person | None = None) -> httpx.Client:
        return self.box.http(who or self.terminal, self.box.https_port)

    def operators(self, who: Person | None = None) -> httpx.Client:
        return self.box.http(who or self.operator, self.box.admin_port)

    def change(self, *entries) -> httpx.Response:  # type: ignore[no-untyped-def]  # noqa: ANN002
        with self.operators() as client:
            return client.post("/v1/changes", content=request(entries, self.operator.signer))


@pytest.fixture(scope="module")
def module_box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    with made_box(tmp_path_factory.mktemp("box")) as box:
        box.start()
        yield box
        assert box.gateway.stop() == 0


@pytest.fixture
def served(module_box: Box) -> Served:
    return Served(module_box)


def test_an_operators_change_is_answered_with_its_version_and_read_by_a_terminal(
    served: Served,
) -> None:
    before = served.change(entitlement(secrets.token_hex(16))).json()["version"]
    answer = served.change(terminal_entry("bay-1", served.terminal.signer.public))
    assert answer.status_code == 200
    assert set(answer.json()) == {"version", "published_ms"}
    assert answer.json()["version"] == {"epoch": 1, "n": before["n"] + 1}
    with served.terminals() as client:
        found = client.get(f"/v1/directory/changes?epoch=1&after={before['n']}").json()
        assert len(found["changes"]) == 1
        message = decode_base64(found["changes"][0])
        changed = Envelope.from_bytes(message.split(b"\n")[0])
        envelope = Envelope.from_bytes(client.get("/v1/directory/manifest").content)
        key = served.box.identity.statement.public
        manifest = DirectoryManifest.open(envelope, key)
        assert manifest.head == changed.digest
        assert manifest.version.model_dump() == answer.json()["version"]
        listing = client.get(f"/v1/directory/chunks/{manifest.chunks}").content
        assert sha256(listing) == manifest.chunks
        for chunk in ChunkList.from_bytes(listing).chunks:
            assert sha256(client.get(f"/v1/directory/chunks/{chunk.digest}").content) == (
                chunk.digest
            )
        assert client.get("/v1/directory/changes?epoch=1&after=999").status_code == 410
        assert client.get(f"/v1/directory/chunks/{'0' * 64}").status_code == 404


def test_keys_checkpoint_and_proofs_are_to_be_had(served: Served) -> None:
    with served.terminals() as client:
        keys = client.get("/v1/keys").content
        assert keys == (served.box.identity.folder / "keys.dsse").read_bytes()
        message = CheckpointMessage.from_bytes(client.get("/v1/log/checkpoint?since=1").content)
        newest = open_checkpoint(message.note, SITE, 1, served.box.identity.log.public)
        asked = {"size": newest.size, "leaves": [0, newest.size - 1, newest.size]}
        answer = client.post("/v1/log/inclusion", json=asked)
        proofs = answer.json()["proofs"]
        assert [proof is None for proof in proofs] == [False, False, True]
        asked = {"size": newest.size + 10**6, "leaves": [0]}
        assert client.post("/v1/log/inclusion", json=asked).status_code == 400
        assert client.get(f"/v1/log/checkpoint?since={10**9}").status_code == 400
    with served.operators() as client:
        assert client.get("/v1/log/checkpoint").status_code == 200


@pytest.mark.parametrize("which", ["terminals", "operators"])
def test_nobody_connects_without_a_certificate_of_the_listeners_one_ca(
    served: Served, which: str
) -> None:
    box = served.box
    port, path = {
        "terminals": (box.https_port, "/v1/keys"),
        "operators": (box.admin_port, "/healthz"),
    }[which]
    foreign = Person(box.folder, Ca(Profile.TERMINAL_CA), Profile.TERMINAL, "foreign")
    other = served.operator if which == "terminals" else served.terminal
    for who in (None, foreign, other):
        with box.http(who, port) as client, pytest.raises(httpx.TransportError):
            client.get(path)


def test_a_server_certificate_is_no_operators(served: Served) -> None:
    box = served.box
    server = Person(box.folder, box.identity.operator_ca, Profile.GATEWAY_SERVER, "not-a-client")
    with served.operators(server) as client, pytest.raises(httpx.TransportError):
        client.get("/healthz")


def test_an_expired_certificate_is_refused(served: Served) -> None:
    box = served.box
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    expired = box.identity.operator_ca.issue(
        Profile.OPERATOR,
        "late",
        key.public_key(),
        validity=Validity(now - timedelta(hours=2), now - timedelta(hours=1)),
    )
    late = Person(box.folder, box.identity.operator_ca, Profile.OPERATOR, "late")
    late.key_file.write_bytes(pem_key(key))
    late.certificate_file.write_bytes(pem(expired))
    with served.operators(late) as client, pytest.raises(httpx.TransportError):
        client.get("/healthz")


def test_tls_below_1_3_is_refused(served: Served) -> None:
    context = ssl.create_default_context(
        cafile=str(served.box.identity.folder / "operator_ca.crt.pem")
    )
    context.load_cert_chain(served.terminal.certificate_file, served.terminal.key_file)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    url = f"https://127.0.0.1:{served.box.https_port}/v1/keys"
    with pytest.raises(httpx.TransportError):
        httpx.get(url, verify=context, trust_env=False)


def test_a_retired_terminal_gets_nothing_and_the_gateways_client_is_no_terminal(
    served: Served,
) -> None:
    retired = served.box.terminal("bay-8")
    with served.terminals(retired) as client:
        assert client.get("/v1/keys").status_code == 200
    served.change(terminal_entry("bay-8", retired.signer.public, TerminalState.RETIRED))
    with served.terminals(retired) as client:
        answer = client.get("/v1/keys")
    assert answer.status_code == 403
    assert RefusalAnswer.from_bytes(answer.content).code == 251
    gateway = served.box.terminal("bay-8")
    folder = served.box.identity.folder
    gateway.key_file, gateway.certificate_file = (
        folder / "gateway.key.pem",
        folder / "gateway.crt.pem",
    )
    with served.terminals(gateway) as client:
        assert client.get("/v1/keys").status_code == 403


def test_another_operators_request_is_refused_with_words(served: Served) -> None:
    otto = Person(served.box.folder, served.box.identity.operator_ca, Profile.OPERATOR, "otto")
    stolen = request([entitlement("aa" * 16)], served.operator.signer)
    with served.operators(otto) as client:
        answer = client.post("/v1/changes", content=stolen)
    assert answer.status_code == 403
    assert answer.json() == {"detail": "signed by another key"}


def test_a_card_of_another_holder_is_a_conflict(served: Served) -> None:
    guid = secrets.token_hex(16)
    assert served.change(entitlement(guid, "h-ines")).status_code == 200
    answer = served.change(entitlement(guid, "h-otto"))
    assert answer.status_code == 409
    assert "h-ines" in answer.json()["detail"]


def test_what_is_too_large_is_refused_before_it_is_read_whole(served: Served) -> None:
    with served.terminals() as client:
        answer = client.post("/v1/log/inclusion", content=b" " * 40_000)
        assert answer.status_code == 413
        leaves = {"size": 1, "leaves": [0] * 1001}
        assert client.post("/v1/log/inclusion", json=leaves).status_code == 400
    with served.operators() as client:
        answer = client.post("/v1/changes", content=b"x" * 5_000_000)
        assert answer.status_code == 413


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/directory/changes?epoch=1&after=-1", 422),
        (f"/v1/directory/changes?epoch=1&after={2**60}", 422),
        ("/v1/directory/changes?epoch=x&after=0", 422),
        ("/v1/directory/chunks/../../gateway.sqlite", 404),
        ("/v1/directory/chunks/%2e%2e%2fgateway.sqlite", 404),
        (f"/v1/directory/chunks/{'A' * 64}", 422),
        ("/openapi.json", 404),
        ("/docs", 404),
        ("/redoc", 404),
        ("/v1/changes", 404),
        ("/", 404),
    ],
)
def test_what_terminals_may_not_ask(served: Served, path: str, status: int) -> None:
    with served.terminals() as client:
        assert client.get(path).status_code == status


def test_operators_see_the_fleet_the_health_and_the_interfaces_description(
    served: Served,
) -> None:
    served.change(terminal_entry("bay-1", served.terminal.signer.public))
    with served.operators() as client:
        rows = {row["terminal"]: row for row in client.get("/v1/fleet").json()["terminals"]}
        assert rows["bay-1"] == {
            "terminal": "bay-1",
            "ward": "ed",
            "state": "active",
            "seen_ms": None,
            "status": None,
            "forks": 0,
            "unserved": False,
        }
        health = client.get("/healthz").json()
        assert health["log_size"] >= health["checkpoint_size"] > 0
        assert health["broker"] in ("connecting", "waiting")
        assert "/v1/changes" in client.get("/openapi.json").json()["paths"]
        assert client.get("/docs").status_code == 404
