"""A machine whose clock is wrong for certain judges a server's certificate by the site's own time.

The certificate that is "not yet valid" here is what a good one looks like to a clock that lags.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from contract.certificates import Profile, Subject, Validity, build_ca, build_leaf
from firmware_py.enrolment.desk import Away, Desk, Peer, Trouble, believing
from runtime.mqtt import client_context
from tests.gateway.identities import pem_key

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"AAAA")

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(folder: Path, validity: Validity) -> Iterator[tuple[str, bytes]]:
    """A gateway's listener whose certificate has this validity; its address and its CA (DER)."""
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    whole = Validity(NOW - 9 * DAY, NOW + 99 * DAY)
    ca = build_ca(Profile.OPERATOR_CA, Subject("ca", "st-elsewhere"), ca_key, 1, whole)
    certificate = build_leaf(
        Profile.GATEWAY_SERVER,
        Subject("gateway", "st-elsewhere", ("127.0.0.1",)),
        key.public_key(),
        issuer=ca,
        issuer_key=ca_key,
        serial=2,
        validity=validity,
    )
    (folder / "crt.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(pem_key(key))
    (folder / "ca.pem").write_bytes(ca.public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "crt.pem", folder / "key.pem")
    server = HTTPServer(("127.0.0.1", 0), _Answer)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    try:
        yield f"https://127.0.0.1:{server.server_port}", ca.public_bytes(Encoding.DER)
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


def ask(url: str, ca: bytes, *, clock_tells: bool, floor: datetime | None) -> bytes:
    floor_ms = None if floor is None else int(floor.timestamp() * 1000)
    return Desk(Peer(url, lambda: believing(ca, clock_tells=clock_tells), floor_ms)).cacerts()


def test_a_clock_that_lags_behind_the_site_does_not_keep_a_terminal_out(tmp_path: Path) -> None:
    with served(tmp_path, Validity(NOW + DAY, NOW + 30 * DAY)) as (url, ca):
        with pytest.raises(Away) as refused:
            ask(url, ca, clock_tells=True, floor=None)
        assert refused.value.trouble is Trouble.CERTIFICATE
        assert ask(url, ca, clock_tells=False, floor=NOW + 2 * DAY) == b"\0\0\0"


def test_what_lapsed_before_the_sites_own_time_is_not_believed_by_any_clock(
    tmp_path: Path,
) -> None:
    with served(tmp_path, Validity(NOW - DAY, NOW + DAY)) as (url, ca):
        with pytest.raises(Away) as refused:
            ask(url, ca, clock_tells=False, floor=NOW + 2 * DAY)
        assert refused.value.trouble is Trouble.CERTIFICATE
        assert "lapsed" in str(refused.value)


def test_another_ca_is_not_believed_by_any_clock(tmp_path: Path) -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    whole = Validity(NOW - DAY, NOW + DAY)
    stranger = build_ca(Profile.OPERATOR_CA, Subject("ca", "st-elsewhere"), other, 1, whole)
    with served(tmp_path, whole) as (url, _), pytest.raises(Away):
        ask(url, stranger.public_bytes(Encoding.DER), clock_tells=False, floor=NOW)


def test_the_link_of_a_terminal_at_work_goes_by_the_same_rule(tmp_path: Path) -> None:
    with served(tmp_path, Validity(NOW + DAY, NOW + 30 * DAY)) as (url, _):
        files = tmp_path / "ca.pem", tmp_path / "crt.pem", tmp_path / "key.pem"
        with pytest.raises(Away):
            Desk(Peer(url, lambda: client_context(*files))).cacerts()
        Desk(Peer(url, lambda: client_context(*files, clock_tells=False))).cacerts()
