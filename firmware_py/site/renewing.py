"""A later certificate for a terminal at work: when it is due, and what becomes of it.

Due at two thirds of its life by site time (`place.Life`), within an hour once the site's keys name
another terminal CA than the one that issued it, or when broker or gateway refuse the one held. The
work itself is a program of its own (`python -m firmware_py.enrolment`): it needs twice
what a terminal's memory has to spare, for some seconds in three weeks. It ends with a certificate
beside the old one, or says what stands between: eight letters that an operator approves.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509

from contract.wire import WireError, decode_base64
from firmware_py.glass.view import Enrolling
from firmware_py.settings import KeyKind, Settings
from firmware_py.site.identity import OPERATOR_CA
from firmware_py.site.place import (
    CERTIFICATE,
    Life,
    is_issued_by,
    life_of,
    read_certificate,
    settle,
)
from runtime.clock import Clock
from runtime.durable import StorageError
from runtime.logs import Trouble
from runtime.settings import CertificateError
from runtime.supervisor import Backoff, first_of

LOG: Final = logging.getLogger("tapover.renewing")

LOOK_S: Final = 60.0
"""How often it is looked whether the certificate is due."""
KNOWN_S: Final = 2.0
"""So long after the link stands site time is known."""
BACKOFF: Final = Backoff(first_s=30.0, most_s=3600.0)
"""After a try that came to nothing. Ten days are left for it."""
SPREAD_S: Final = 3600.0
"""Over so long a ward that hears of another terminal CA in one moment is renewed."""
SUSPICIONS: Final = 2
"""So many refusals in a row, with nothing between them, make a certificate suspect."""
# A line names eight letters, a few addresses, a sentence.
_LINE_CAP: Final = 4096
_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Known:
    """What the terminal knows at the moment in which a try begins."""

    now_ms: int
    """Site time, or a lower bound of it."""
    clock_tells: bool
    """Whether the machine's own clock is not certainly wrong."""
    terminal_ca: str
    """Base64 DER, of the newest key statement."""


class Renewing:
    """`run` is its task."""

    def __init__(
        self,
        settings: Settings,
        known: Callable[[], Known],
        swapped: Callable[[], Awaitable[None]],
        show: Callable[[Enrolling | None], None],
        clock: Clock,
        chance: random.Random,
        spread_s: float = SPREAD_S,
    ) -> None:
        """`swapped` is awaited once another certificate is in place; `show` tells the glass."""
        self._spread_s = spread_s
        self._replaced_ns: int | None = None
        """Since when the certificate is known to be of another CA than the site's keys name.

        Monotonic: site time leaps when it becomes known, and a whole ward's does so at once.
        """
        self._settings = settings
        self._known = known
        self._swapped = swapped
        self._show = show
        self._clock = clock
        self._chance = chance
        self._refused = 0
        self._suspect = asyncio.Event()
        self._up = asyncio.Event()
        self._trouble = Trouble(LOG, "renewing the certificate")

    def link_up(self) -> None:
        """The certificate serves."""
        self._refused = 0
        self._suspect.clear()
        self._up.set()

    def link_down(self, reason: str) -> None:
        """Why the link does not stand; where that may be our certificate, it is suspect."""
        ours = "our certificate" in reason or (
            "TLS: " in reason and ("alert" in reason or "certificate" in reason)
        )
        if not ours or "broker's certificate" in reason:
            self._refused = 0
            return
        self._refused += 1
        if self._refused >= SUSPICIONS:
            self._suspect.set()

    async def run(self) -> None:
        """Until cancelled."""
        failures = 0
        while True:
            await self._until_due()
            if await self._try():
                failures = 0
                self._trouble.over()
                self._refused = 0
                self._suspect.clear()
            else:
                failures += 1
                await self._sleep(BACKOFF.delay_s(failures, self._chance))

    async def _until_due(self) -> None:
        path = self._settings.identity_dir / CERTIFICATE
        while not self._suspect.is_set():
            try:
                life, replaced = await asyncio.to_thread(_look, path, self._known().terminal_ca)
            except CertificateError as error:  # a swap may be under way: looked at again soon
                LOG.info("the certificate cannot be read", extra={"why": str(error)})
            else:
                now_ms = self._known().now_ms
                if now_ms >= life.until_ms:
                    self._suspect.set()
                if life.is_due(now_ms, self._replaced_s(replaced=replaced), self._spread_s):
                    return
            self._up.clear()
            await first_of(self._suspect.wait(), self._known_soon(), self._sleep(LOOK_S))

    def _replaced_s(self, *, replaced: bool) -> float | None:
        """For how long it has been known that another CA issues."""
        now_ns = self._clock.monotonic_ns()
        if not replaced:
            self._replaced_ns = None
            return None
        if self._replaced_ns is None:
            self._replaced_ns = now_ns
            LOG.info("the site has another terminal CA; the certificate is renewed early")
        return (now_ns - self._replaced_ns) / _NS

    async def _known_soon(self) -> None:
        await self._up.wait()
        await self._sleep(KNOWN_S)

    async def _try(self) -> bool:
        """Whether another certificate is in place."""
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "firmware_py.enrolment"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_LINE_CAP,
        )
        try:
            renewed = await self._converse(child)
        finally:
            self._show(None)
            if child.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    child.kill()
                await child.wait()
        if not renewed:
            return False
        try:
            await asyncio.to_thread(settle, self._settings.identity_dir)
        except StorageError as error:
            self._trouble.failed(str(error))
            return False
        await self._swapped()
        LOG.info("another certificate is in use")
        return True

    async def _converse(self, child: asyncio.subprocess.Process) -> bool:
        if child.stdin is None or child.stdout is None:
            raise AssertionError("pipes were asked for")
        # It stays open: the child ends when its terminal does.
        child.stdin.write(json.dumps(self._ticket()).encode() + b"\n")
        with contextlib.suppress(ConnectionError):
            await child.stdin.drain()
        while line := await _line(child.stdout):
            told = json.loads(line)
            match told["state"]:
                case "renewed":
                    return True
                case "code":
                    self._show(
                        Enrolling(
                            self._settings.terminal,
                            code=told["code"],
                            mac=told["mac"],
                            addresses=tuple(told["addresses"]),
                        )
                    )
                case _:
                    self._show(None)
                    self._trouble.failed(told["words"])
        return False

    def _ticket(self) -> dict[str, object]:
        known, settings = self._known(), self._settings
        return {
            "site": settings.site,
            "terminal": settings.terminal,
            "identity": str(settings.identity_dir),
            "operator_ca": str(_absolute(settings.state_dir / OPERATOR_CA)),
            "terminal_ca": known.terminal_ca,
            "gateway_url": settings.gateway_url,
            "enrol_url": settings.enrol_url,
            "now_ms": known.now_ms,
            "clock_tells": known.clock_tells,
            "suspect": self._suspect.is_set(),
            "tpm": settings.tpm if settings.keys is KeyKind.TPM else "",
        }

    async def _sleep(self, seconds: float) -> None:
        await self._clock.sleep_until(self._clock.monotonic_ns() + round(seconds * _NS))


def _look(path: Path, terminal_ca: str) -> tuple[Life, bool]:
    """A certificate's time, and whether another CA issued it. Raises CertificateError."""
    certificate = read_certificate(path)
    try:
        authority = x509.load_der_x509_certificate(decode_base64(terminal_ca))
    except (ValueError, WireError) as error:
        raise CertificateError(f"the site's keys hold no terminal CA ({error})") from error
    return life_of(certificate), not is_issued_by(certificate, authority)


async def _line(stream: asyncio.StreamReader) -> bytes:
    try:
        return await stream.readline()
    except ValueError:  # longer than our own program ever speaks
        return b""


def _absolute(path: Path) -> Path:
    return path if path.is_absolute() else Path.cwd() / path
