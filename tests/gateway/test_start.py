"""A gateway that cannot start says in one line what is wrong; its exit status says of what kind."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from contract.certificates import Profile, Validity
from tests.gateway.conftest import Box
from tests.gateway.identities import SiteIdentity, pem, pem_key


def at_length(*values: object) -> object:
    """One more of its kind: a process each is too slow for the quick set."""
    return pytest.param(*values, marks=pytest.mark.full)


def complaint(box: Box, command: str = "serve", *arguments: str) -> tuple[int, str]:
    """Exit status and the one line that is not a log record."""
    status, lines = box.done(command, *arguments)
    said = [line for line in lines if not line.startswith("{")]
    assert len(said) == 1, lines
    assert said[0].startswith("tapover-gateway: ")
    return status, said[0]


@pytest.mark.parametrize(
    ("setting", "value", "named"),
    [
        ("site", "St Elsewhere", "`site`"),
        ("root_fingerprint", "abc", "`root_fingerprint`"),
        at_length("https_port", "many", "https_port"),
        at_length("broker_port", 0, "broker_port"),
        ("colour", "green", "colour"),
        at_length("log_level", "loud", "log_level"),
    ],
)
def test_a_wrong_setting_is_exit_2(box: Box, setting: str, value: object, named: str) -> None:
    box.write_settings(**{setting: value})
    status, said = complaint(box)
    assert (status, named in said) == (2, True), said


def test_settings_that_are_not_there_are_exit_2(box: Box) -> None:
    box.settings.unlink()
    assert complaint(box)[0] == 2


def test_without_a_log_nothing_is_served_and_none_is_made(box: Box) -> None:
    (database,) = (box.folder / "state").glob("*.sqlite")
    database.rename(box.folder / "lost")
    for command in (("serve",), ("export", str(box.folder / "out"))):
        status, said = complaint(box, *command)
        assert (status, str(database) in said) == (2, True), said
    assert not database.exists()


def test_a_log_is_begun_by_command_and_once(box: Box) -> None:
    shutil.rmtree(box.folder / "state")
    assert box.done("init")[0] == 0
    before = box.folder.joinpath("state", "gateway.sqlite").read_bytes()
    status, said = complaint(box, "init")
    assert (status, "never begun twice" in said) == (2, True)
    assert box.folder.joinpath("state", "gateway.sqlite").read_bytes() == before


def lost(name: str) -> Callable[[Box], None]:
    return lambda box: (box.identity.folder / name).unlink()


def garbled(name: str) -> Callable[[Box], None]:
    def spoil(box: Box) -> None:
        (box.identity.folder / name).write_bytes(b"-----BEGIN NOTHING-----\n")

    return spoil


def exchanged(name: str) -> Callable[[Box], None]:
    def spoil(box: Box) -> None:
        other = SiteIdentity(box.folder / "other", datetime.now(UTC))
        (box.identity.folder / name).write_bytes((other.folder / name).read_bytes())

    return spoil


def expired(box: Box) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    certificate = box.identity.operator_ca.issue(
        Profile.GATEWAY_SERVER,
        "gateway",
        key.public_key(),
        validity=Validity(now - timedelta(days=2), now - timedelta(days=1)),
    )
    (box.identity.folder / "server.crt.pem").write_bytes(pem(certificate))
    (box.identity.folder / "server.key.pem").write_bytes(pem_key(key))


def misnamed(box: Box) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = box.identity.terminal_ca.issue(Profile.TERMINAL, "bay-1", key.public_key())
    (box.identity.folder / "gateway.crt.pem").write_bytes(pem(certificate))
    (box.identity.folder / "gateway.key.pem").write_bytes(pem_key(key))


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lost("log.key.pem"), "log.key.pem"),
        at_length(garbled("statement.key.pem"), "statement.key.pem"),
        (exchanged("log.key.pem"), "log.key.pem"),
        (exchanged("keys.dsse"), "keys.dsse"),
        at_length(exchanged("terminal_ca.crt.pem"), "terminal_ca.crt.pem"),
        at_length(exchanged("server.crt.pem"), "server.crt.pem"),
        at_length(exchanged("server.key.pem"), "server.key.pem"),
        at_length(garbled("gateway.crt.pem"), "gateway.crt.pem"),
        (expired, "renew"),
        (misnamed, "gateway.crt.pem"),
    ],
)
def test_a_key_or_certificate_that_does_not_fit_is_exit_3(
    box: Box, spoil: Callable[[Box], None], named: str
) -> None:
    spoil(box)
    status, said = complaint(box)
    assert (status, named in said) == (3, True), said


def test_a_log_of_other_keys_is_exit_3(box: Box, tmp_path: Path) -> None:
    box.identity = SiteIdentity(box.folder / "identity", datetime.now(UTC))
    box.write_settings()
    status, said = complaint(box)
    assert status == 3, said


def test_an_older_key_statement_than_the_logs_is_exit_3(box: Box) -> None:
    first = box.identity.keys
    box.identity.write_keys(box.identity.key_statement(2))
    box.start()
    assert box.gateway.stop() == 0
    box.identity.write_keys(first)
    status, said = complaint(box)
    assert (status, "epoch" in said) == (3, True), said


@pytest.mark.parametrize("key", ["https_port", "admin_port"])
def test_a_port_that_is_taken_is_exit_4(box: Box, key: str) -> None:
    with socket.create_server(("127.0.0.1", getattr(box, key))):
        status, said = complaint(box)
    assert (status, f"`{key}`" in said) == (4, True), said


def test_a_second_gateway_keeps_out_of_the_firsts_state(box: Box) -> None:
    box.start()
    box.write_settings(https_port=box.https_port + 20, admin_port=box.admin_port + 20)
    status, said = complaint(box)
    assert (status, str(box.gateway.pid) in said) == (1, True), said


def test_sigterm_ends_it_with_0_and_a_last_checkpoint(box: Box) -> None:
    box.start()
    assert box.gateway.stop() == 0
    out = box.folder / "out"
    status, lines = box.done("export", str(out))
    assert status == 0
    assert not any("newer leaves" in line for line in lines), lines
    assert [json.loads(line) for line in box.gateway.lines]


def test_an_export_goes_into_a_new_folder_only(box: Box) -> None:
    out = box.folder / "out"
    out.mkdir()
    (out / "mine").write_text("")
    status, said = complaint(box, "export", str(out))
    assert (status, "new folder" in said) == (1, True)
    assert [path.name for path in out.iterdir()] == ["mine"]


def test_systemd_hears_when_it_serves_and_when_it_stops(box: Box) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(box.folder / "notify"))
        manager.settimeout(20)
        with box.command("serve", NOTIFY_SOCKET=str(box.folder / "notify")) as gateway:
            assert manager.recv(100).startswith(b"READY=1")
            with box.http(box.operator, box.admin_port) as client:
                assert client.get("/healthz").status_code == 200
            assert gateway.stop() == 0
            assert manager.recv(100) == b"STOPPING=1"
