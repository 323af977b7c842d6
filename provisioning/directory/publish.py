"""Telling the gateway: an operator's signed request over mTLS (DESIGN §6).

Whoever holds the operator's key can change who may sign on; the request is a leaf of the evidence
log. What the guard stops raises `ChangeWaits`.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from contract.directory import ChangeRequest, Entry
from contract.ids import Digest, Version
from contract.journal import join_lines
from contract.signing import Envelope, sha256
from provisioning.directory.administration import (
    Administration,
    ChangeWaits,
    Gateway,
    Operator,
    findings_of,
)
from provisioning.errors import GatewayRefused

__all__ = ["Gateway", "Operator", "publish", "publish_with", "sign_request", "version_of"]


def publish(gateway: Gateway, operator: Operator, entries: Sequence[Entry], now_ms: int) -> Version:
    """Signs and sends one change; returns the version that it became.

    Raises GatewayAway (no answer: it may have been made), GatewayRefused (with the gateway's
    words), ChangeWaits (the guard stopped it), MovedOn or TooOften.
    """
    with Administration(gateway, operator) as administration:
        return publish_with(administration, [entry.to_bytes() for entry in entries], now_ms)


def publish_with(
    administration: Administration, lines: Sequence[bytes], now_ms: int, *, recovers: bool = False
) -> Version:
    """The same over a connection that stands; `recovers`: before all others (`recover`)."""
    request = sign_request(administration.gateway, administration.operator, lines, now_ms)
    path = f"/v1/changes{'?recovers=1' * recovers}"
    answer = administration.post(path, join_lines(request, lines))
    found = answer.json()
    if answer.status == HTTPStatus.ACCEPTED:
        raise ChangeWaits(Digest(str(found.get("subject"))), findings_of(found.get("findings")))
    return version_of(found)


def sign_request(
    gateway: Gateway, operator: Operator, lines: Sequence[bytes], now_ms: int
) -> Envelope:
    """The operator's signed wish for these entries, a line each."""
    return ChangeRequest(
        site=gateway.site,
        operator=operator.id,
        nonce=secrets.token_hex(32),
        issued_ms=now_ms,
        entries=tuple(sha256(line) for line in lines),
    ).seal(operator.signer())


def version_of(found: dict[str, Any]) -> Version:
    """The version that an answer names. Raises GatewayRefused."""
    try:
        version = found["version"]
        return Version(int(version["epoch"]), int(version["n"]))
    except (ValueError, KeyError, TypeError) as error:
        words = "the gateway's answer names no version; look at its log, then ask again"
        raise GatewayRefused(words) from error
