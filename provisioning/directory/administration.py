"""Speaking with the gateway's administration interface: mTLS, one connection, answers with a cap.

docs/api/admin.openapi.json describes it. Refused for asking too often (429), it asks again when it
is told to; whatever else is not 200 or 202 is an error of ours in the gateway's own words.
"""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, Self

from contract.administration import Findings
from contract.ids import Digest, OperatorId, SiteId
from contract.signing import SoftwareSigner
from contract.wire import WireError
from provisioning.errors import GatewayAway, GatewayRefused, ProvisioningError
from provisioning.site import keys

TIMEOUT_S: Final = 60.0
# Fifty changes in base64 are two mebibytes; so is the largest answer.
ANSWER_CAP: Final = 4 * 1024 * 1024
# Told to wait longer, or again and again, it gives up: something else is wrong.
_MOST_WAIT_S: Final = 30
_MOST_WAITS: Final = 20


class ChangeWaits(ProvisioningError):
    """The guard stopped the change: nothing was changed, a second operator must approve it."""

    code = 401
    exit_status = 3
    remedy = "Have another operator run the command that the sentence names; then nothing is left."

    def __init__(self, subject: Digest, findings: Findings) -> None:
        self.subject = subject
        self.findings = findings
        super().__init__(
            f"stopped, nothing was changed: {in_words(findings)}. A second operator, within a day:"
            f" tapover directory approve {subject}"
        )


class MovedOn(ProvisioningError):
    """Somebody changed the same meanwhile, or it contradicts what stands; nothing was changed."""

    code = 402
    remedy = "Run the command again: it makes the difference anew."


class TooOften(ProvisioningError):
    """The gateway is asked too often, by this operator or from this address."""

    code = 403
    remedy = "Wait a minute and run the same command again."


class PolicyUnservable(GatewayRefused):
    """A policy asks what its ward's readers, terminals or people cannot do; nothing was changed."""

    code = 407
    exit_status = 2
    remedy = "Mend the settings that the sentence names: tapover ward policy explain."


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


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, status 200 or 202."""

    status: int
    body: bytes

    def json(self) -> dict[str, Any]:
        """Raises GatewayRefused for what is none of the gateway's answers."""
        try:
            found = json.loads(self.body)
        except ValueError as error:
            raise GatewayRefused("the gateway's answer is no JSON; look at its log") from error
        if not isinstance(found, dict):
            raise GatewayRefused("the gateway's answer is no object; look at its log")
        return found


class Administration:
    """A connection to the interface. A context manager; methods raise ProvisioningError."""

    def __init__(
        self, gateway: Gateway, operator: Operator, wait: Callable[[float], None] = time.sleep
    ) -> None:
        """`wait` is told how many seconds to stay quiet when the gateway asks for it."""
        self.gateway = gateway
        self.operator = operator
        self._wait = wait
        self._connection: http.client.HTTPSConnection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """The next request connects anew."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def get(self, path: str) -> Answer:
        return self._ask("GET", path, None)

    def post(self, path: str, body: bytes = b"") -> Answer:
        return self._ask("POST", path, body)

    def _ask(self, method: str, path: str, body: bytes | None) -> Answer:
        status, headers, answer = self._exchange(method, path, body)
        for _ in range(_MOST_WAITS):
            wait = headers.get("Retry-After", "")
            told = status == HTTPStatus.TOO_MANY_REQUESTS and wait.isdigit()
            if not told or int(wait) > _MOST_WAIT_S:
                break
            self._wait(int(wait))
            status, headers, answer = self._exchange(method, path, body)
        if status in (HTTPStatus.OK, HTTPStatus.ACCEPTED):
            return Answer(status, answer)
        words = f"the gateway refused it ({status}): {_sentence(answer)}"
        match status:
            case HTTPStatus.TOO_MANY_REQUESTS:
                raise TooOften(words)
            case HTTPStatus.CONFLICT:
                raise MovedOn(words)
            case HTTPStatus.UNPROCESSABLE_ENTITY:
                raise PolicyUnservable(words)
            case status if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                raise GatewayAway(words)
            case _:
                raise GatewayRefused(words)

    def _exchange(
        self, method: str, path: str, body: bytes | None
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        kept = self._connection is not None
        try:
            return self._try(method, path, body)
        except (http.client.RemoteDisconnected, ConnectionError, ssl.SSLEOFError) as error:
            # What was kept open the gateway may have closed: once more, on a fresh connection.
            # Asking twice does no harm: requests carry a nonce, steps say how they stand.
            if not kept:
                raise self._away(error) from error
        except (OSError, http.client.HTTPException) as error:
            raise self._away(error) from error
        try:
            return self._try(method, path, body)
        except (OSError, http.client.HTTPException) as error:
            raise self._away(error) from error

    def _try(
        self, method: str, path: str, body: bytes | None
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        if self._connection is None:
            self._connection = http.client.HTTPSConnection(
                self.gateway.host,
                self.gateway.port,
                timeout=TIMEOUT_S,
                context=self.operator.tls(),
            )
        headers = {"Content-Type": "application/octet-stream"} if body else {}
        try:
            self._connection.request(method, path, body=body, headers=headers)
            response = self._connection.getresponse()
            answer = _read(response)
        except BaseException:
            self.close()
            raise
        return response.status, response.headers, answer

    def _away(self, error: Exception) -> GatewayAway:
        where = f"{self.gateway.host}:{self.gateway.port}"
        return GatewayAway(f"no answer from the gateway at {where} ({error}); is it running?")


def _read(response: http.client.HTTPResponse) -> bytes:
    answer = response.read(ANSWER_CAP)
    if response.read(1):
        raise http.client.HTTPException(f"an answer of more than {ANSWER_CAP} bytes")
    return answer


def findings_of(value: object) -> Findings:
    """The guard's findings in an answer. Raises GatewayRefused."""
    try:
        return Findings.from_bytes(json.dumps(value).encode())
    except WireError as error:
        raise GatewayRefused(f"the gateway's findings are none: {error}") from error


def in_words(findings: Findings) -> str:
    """What the guard found, as a part of a sentence."""
    parts = []
    if findings.people:
        parts.append(_count(findings.people, "person", "people") + _lately(findings))
    if findings.positions:
        parts.append("everybody in the position " + _names(findings.positions))
    if findings.leads:
        parts.append("the last lead of the ward " + _names(findings.leads))
    if findings.spares:
        parts.append(_count(findings.spares, "spare card", "spare cards"))
    if findings.terminals:
        parts.append("the use of " + _count(findings.terminals, "terminal", "terminals"))
    if findings.shut_out:
        parts.append(_count(findings.shut_out, "person's", "people's") + " signing on in a ward")
    return f"it would end {', '.join(parts)}" if parts else "it ends nobody"


def _lately(findings: Findings) -> str:
    site = f" of {findings.site}" if findings.site else ""
    more = findings.counted - findings.people
    return site + (f" (with {more} ended lately)" if more > 0 else "")


def _names(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"  # noqa: PLR2004


def _count(number: int, one: str, more: str) -> str:
    return f"{number} {one if number == 1 else more}"


def _sentence(answer: bytes) -> str:
    try:
        detail = json.loads(answer)["detail"]
    except (ValueError, KeyError, TypeError):
        return answer[:200].decode("utf-8", "replace")
    return str(detail)
