"""What the terminal asks the gateway over HTTPS: directory, checkpoints, proofs.

Never while somebody waits. One connection, kept open, one request at a time, in a thread; every
answer has a cap and a deadline. Its TLS context believes the operator CA alone. What comes back is
bytes or parsed records, still to be verified by whoever asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import http
import http.client
import ssl
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from contract.checkpoint import MAX_PROVEN_LEAVES, CheckpointMessage, InclusionQuery
from contract.directory import CATCH_UP_BYTES, CATCH_UP_CHANGES, MAX_CHUNK_BYTES
from contract.ids import Digest, Version
from contract.signing import Envelope, sha256
from contract.succession import MAX_LINE_BYTES
from contract.tree import MAX_PROOF
from contract.wire import WireError, check_i_json, decode_base64
from runtime.clock import Clock
from runtime.settings import CertificateError

CONNECT_S: Final = 5.0
"""For connecting, and for each silence afterwards."""
ANSWER_NS: Final = 30 * 1_000_000_000
"""For a whole answer: a megabyte comes in well under it on the slowest ward line we plan for."""
WHOLE_S: Final = 60.0
"""For a question with everything around it: an answer may also never begin, byte after byte."""
MAX_CHANGES_BYTES: Final = CATCH_UP_BYTES * 4 // 3 + 64 * 1024
"""Changes in base64, and a little JSON around them."""
MAX_INCLUSION_BYTES: Final = MAX_PROVEN_LEAVES * (MAX_PROOF * 48 + 16) + 1024
MAX_ERROR_BYTES: Final = 4096
_WORLD: Final = (OSError, http.client.HTTPException, ValueError, CertificateError)
_PIECE: Final = 64 * 1024


class FetchFailed(Exception):
    """No usable answer: the gateway is away, too slow, or says what the contract does not allow."""


class NotBelieved(FetchFailed):
    """Somebody answered whose certificate the site's operator CA did not issue."""


class NotKnown(FetchFailed):
    """The gateway says that it has no such thing (404), or not any more (410)."""


class AskedTooOften(FetchFailed):
    """The gateway is there, and will not be asked again so soon (429)."""


class _Answer(NamedTuple):
    status: int
    body: bytes


class Gateway:
    """The gateway's listener for terminals. Each method raises FetchFailed."""

    def __init__(
        self,
        address: tuple[str, int],
        tls: Callable[[], ssl.SSLContext],
        clock: Clock,
        tls_to_anybody: Callable[[], ssl.SSLContext] | None = None,
    ) -> None:
        """`tls` is called for each connection: the next one uses a renewed certificate.

        `tls_to_anybody` believes any peer, and serves for the key statement alone.
        """
        self._address = address
        self._tls = tls
        self._to_anybody = tls_to_anybody
        self._clock = clock
        self._one = asyncio.Lock()
        self._given_up = False
        self._connection: http.client.HTTPSConnection | None = None

    async def keys(self) -> Envelope:
        """The key statement.

        Also of a gateway whose certificate is not believed: a new operator CA is learnt from the
        key statement alone, and its truth is the root's signature, not who hands it over.
        """
        return _envelope(await self._get_of_anybody("/v1/keys", Envelope.CAP))

    async def roots(self) -> bytes:
        """How the site's roots follow one another (`succession.split_line`), asked like `keys`."""
        return await self._get_of_anybody("/v1/roots", MAX_LINE_BYTES)

    async def manifest(self) -> Envelope:
        """The newest snapshot's manifest. Raises NotKnown before the first change."""
        return _envelope(await self._get("/v1/directory/manifest", Envelope.CAP))

    async def chunk(self, digest: Digest) -> bytes:
        """A chunk, or the list of chunks, checked against its digest."""
        body = await self._get(f"/v1/directory/chunks/{digest}", MAX_CHUNK_BYTES)
        if sha256(body) != digest:
            raise FetchFailed("a chunk does not fit its digest")
        return body

    async def changes(self, after: Version) -> tuple[bytes, ...]:
        """Change messages that follow `after`, in order; empty when there are none.

        Raises NotKnown when the gateway cannot continue from there: take the snapshot.
        """
        path = f"/v1/directory/changes?epoch={after.epoch}&after={after.n}"
        record = _record(await self._get(path, MAX_CHANGES_BYTES), "changes", MAX_CHANGES_BYTES)
        if len(record) > CATCH_UP_CHANGES:
            raise FetchFailed("more changes than were asked for")
        return tuple(_raw(text) for text in record)

    async def checkpoint(self, since: int) -> CheckpointMessage:
        """The newest checkpoint with its proof from `since`."""
        body = await self._get(f"/v1/log/checkpoint?since={since}", CheckpointMessage.CAP)
        try:
            return CheckpointMessage.from_bytes(body)
        except WireError as error:
            raise FetchFailed(str(error)) from error

    async def inclusion(
        self, size: int, leaves: Sequence[int]
    ) -> tuple[tuple[bytes, ...] | None, ...]:
        """For each leaf its proof in the tree of `size`; None where the gateway has none."""
        request = InclusionQuery(size=size, leaves=tuple(leaves)).to_bytes()
        path = "/v1/log/inclusion"
        body = await self._ask(
            lambda: self._exchange("POST", path, MAX_INCLUSION_BYTES, request), path
        )
        proofs = _record(body, "proofs", MAX_INCLUSION_BYTES)
        if len(proofs) != len(leaves):
            raise FetchFailed("not one proof for each leaf")
        return tuple(None if proof is None else _path(proof) for proof in proofs)

    async def help(self, what: str, message: bytes, cap: int) -> bytes:
        """What the gateway answers somebody's need (`spare`, `puk`, `puk/report`)."""
        path = f"/v1/help/{what}"
        return await self._ask(lambda: self._exchange("POST", path, cap, message), path)

    def close(self) -> None:
        """Ends the connection, and with it a request that is under way."""
        connection, self._connection = self._connection, None
        if connection is not None:
            _hang_up(connection)

    async def _get_of_anybody(self, path: str, cap: int) -> bytes:
        try:
            return await self._get(path, cap)
        except NotBelieved:
            if (tls := self._to_anybody) is None:
                raise
        return await self._ask(lambda: self._exchange_once(path, cap, tls), path)

    async def _get(self, path: str, cap: int) -> bytes:
        return await self._ask(lambda: self._exchange("GET", path, cap, None), path)

    async def _ask(self, exchange: Callable[[], _Answer], path: str) -> bytes:
        async with self._one:
            self._given_up = False
            working = asyncio.ensure_future(asyncio.to_thread(exchange))
            try:
                async with asyncio.timeout(WHOLE_S):
                    answer = await asyncio.shield(working)
            except (asyncio.CancelledError, TimeoutError) as ended:
                self._given_up = True
                self.close()  # the thread comes back at once
                with contextlib.suppress(FetchFailed):
                    await working
                if isinstance(ended, TimeoutError):
                    raise FetchFailed("an answer that does not begin") from ended
                raise
        if answer.status in (http.HTTPStatus.NOT_FOUND, http.HTTPStatus.GONE):
            raise NotKnown(f"{path.partition('?')[0]}: {answer.status}")
        if answer.status == http.HTTPStatus.TOO_MANY_REQUESTS:
            raise AskedTooOften(f"{path.partition('?')[0]}: {answer.status}")
        if answer.status != http.HTTPStatus.OK:
            raise FetchFailed(f"{path.partition('?')[0]}: {answer.status}")
        return answer.body

    # --- in the thread ----------------------------------------------------------------------

    def _exchange(self, method: str, path: str, cap: int, body: bytes | None) -> _Answer:
        kept = self._connection is not None
        try:
            return self._try(method, path, cap, body)
        except (http.client.RemoteDisconnected, ConnectionError) as error:
            # What we kept open the other side may have closed: once more, if somebody still waits.
            if not kept or self._given_up:
                raise FetchFailed(_words(error)) from error
        except _WORLD as error:
            raise _failed(error) from error
        try:
            return self._try(method, path, cap, body)
        except _WORLD as error:
            raise _failed(error) from error

    def _exchange_once(self, path: str, cap: int, tls: Callable[[], ssl.SSLContext]) -> _Answer:
        """By a connection that nothing else is asked over."""
        try:
            self._connect(tls)
            return self._try("GET", path, cap, None)
        except _WORLD as error:
            raise _failed(error) from error
        finally:
            self.close()

    def _connect(self, tls: Callable[[], ssl.SSLContext]) -> http.client.HTTPSConnection:
        self.close()
        host, port = self._address
        connection = http.client.HTTPSConnection(host, port, timeout=CONNECT_S, context=tls())
        self._connection = connection
        return connection

    def _try(self, method: str, path: str, cap: int, body: bytes | None) -> _Answer:
        connection = self._connection or self._connect(self._tls)
        headers = {"Content-Type": "application/json"} if body else {}
        try:
            connection.request(method, path, body, headers)
            # Closing: read1 leaves a whole answer open, and the connection with it.
            with connection.getresponse() as response:
                return self._read(response, cap)
        except BaseException:
            self._connection = None
            _hang_up(connection)
            raise

    def _read(self, response: http.client.HTTPResponse, cap: int) -> _Answer:
        if response.status != http.HTTPStatus.OK:
            cap = MAX_ERROR_BYTES
        end_ns = self._clock.monotonic_ns() + ANSWER_NS
        pieces: list[bytes] = []
        size = 0
        while piece := response.read1(_PIECE):
            size += len(piece)
            if size > cap:
                raise FetchFailed(f"an answer of more than {cap} bytes")
            if self._clock.monotonic_ns() > end_ns:
                raise FetchFailed("an answer that does not end")
            pieces.append(piece)
        return _Answer(response.status, b"".join(pieces))


def _hang_up(connection: http.client.HTTPSConnection) -> None:
    if connection.sock is not None:
        with contextlib.suppress(OSError):
            connection.sock.shutdown(2)
    connection.close()


def _failed(error: Exception) -> FetchFailed:
    kind = NotBelieved if isinstance(error, ssl.SSLCertVerificationError) else FetchFailed
    return kind(_words(error))


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _envelope(body: bytes) -> Envelope:
    try:
        return Envelope.from_bytes(body)
    except WireError as error:
        raise FetchFailed(str(error)) from error


def _record(body: bytes, name: str, cap: int) -> list[object]:
    try:
        value = check_i_json(body, cap)
    except WireError as error:
        raise FetchFailed(str(error)) from error
    items = value.get(name) if isinstance(value, dict) else None
    if not isinstance(items, list):
        raise FetchFailed(f"an answer without {name}")
    return items


def _raw(text: object) -> bytes:
    if not isinstance(text, str):
        raise FetchFailed("not base64")
    try:
        return decode_base64(text)
    except WireError as error:
        raise FetchFailed(str(error)) from error


def _path(proof: object) -> tuple[bytes, ...]:
    if not isinstance(proof, list) or len(proof) > MAX_PROOF:
        raise FetchFailed("not a proof")
    return tuple(_raw(step) for step in proof)
