"""Telling the gateway: an operator's signed request over mTLS (DESIGN §6).

Whoever holds the operator's key can change who may sign on; the request is a leaf of the evidence
log.
"""

from __future__ import annotations

import http.client
import json
import secrets
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from contract.directory import ChangeRequest, Entry
from contract.ids import OperatorId, SiteId, Version
from contract.journal import join_lines
from contract.signing import SoftwareSigner, sha256
from provisioning import keys
from provisioning.errors import GatewayAway, GatewayRefused

TIMEOUT_S = 30.0
# The answer to a change is a version; an error is a sentence.
_ANSWER_CAP = 64 * 1024


@dataclass(frozen=True, slots=True)
class Operator:
    """Who asks: id, the folder of key and certificate, and the CA that vouches for the gateway."""

    id: OperatorId
    folder: Path
    gateway_ca: Path

    def tls(self) -> ssl.SSLContext:
        """TLS 1.3, this operator's certificate, and no other root than the site's own."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_verify_locations(cafile=str(self.gateway_ca))
        context.load_cert_chain(
            str(self.folder / "operator.crt.pem"), str(self.folder / "operator.key.pem")
        )
        return context

    def signer(self) -> SoftwareSigner:
        return SoftwareSigner(keys.read_p256(self.folder / "operator.key.pem"))


@dataclass(frozen=True, slots=True)
class Gateway:
    """Where the administration interface listens."""

    site: SiteId
    host: str
    port: int


def publish(gateway: Gateway, operator: Operator, entries: Sequence[Entry], now_ms: int) -> Version:
    """Signs and sends one change; returns the version that it became.

    Raises GatewayAway (no answer: it may have been made) or GatewayRefused (with the gateway's
    words).
    """
    lines = [entry.to_bytes() for entry in entries]
    request = ChangeRequest(
        site=gateway.site,
        operator=operator.id,
        nonce=secrets.token_hex(32),
        issued_ms=now_ms,
        entries=tuple(sha256(line) for line in lines),
    ).seal(operator.signer())
    status, answer = _post(gateway, operator, "/v1/changes", join_lines(request, lines))
    if status != http.HTTPStatus.OK:
        raise GatewayRefused(f"the gateway refused the change ({status}): {_sentence(answer)}")
    try:
        version = json.loads(answer)["version"]
        return Version(int(version["epoch"]), int(version["n"]))
    except (ValueError, KeyError, TypeError) as error:
        words = "the gateway's answer names no version; look at its log, then ask again"
        raise GatewayRefused(words) from error


def _post(gateway: Gateway, operator: Operator, path: str, body: bytes) -> tuple[int, bytes]:
    connection = http.client.HTTPSConnection(
        gateway.host, gateway.port, timeout=TIMEOUT_S, context=operator.tls()
    )
    try:
        connection.request(
            "POST", path, body=body, headers={"Content-Type": "application/octet-stream"}
        )
        response = connection.getresponse()
        return response.status, response.read(_ANSWER_CAP)
    except (OSError, http.client.HTTPException) as error:
        where = f"{gateway.host}:{gateway.port}"
        raise GatewayAway(
            f"no answer from the gateway at {where} ({error}); is it running?"
        ) from error
    finally:
        connection.close()


def _sentence(answer: bytes) -> str:
    try:
        detail = json.loads(answer)["detail"]
    except (ValueError, KeyError, TypeError):
        return answer[:200].decode("utf-8", "replace")
    return str(detail)
