"""The way from an enrolment file to a certificate, gone on with after every failure and power cut.

1. The file's lasting part is kept. 2. The gateway's key statement is fetched from whoever answers,
   and believed by the pinned root alone, or by the last that followed it. 3. From then on only its
   operator CA is believed. 4. Keys are made, once. 5. The order goes with the token; without one
   that serves, eight letters wait for an operator. 6. The certificate is written last, and the
   token erased.

Nothing is undone by a failure: each step looks for what is there already, and asks the same with
the same keys again.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import urlsplit

from cryptography import x509

from contract.enrolment import Issued, Pending, Refusal
from contract.ids import KeyId, SiteId, TerminalId
from contract.signing import SignatureRefused
from contract.statements import KeyStatement
from contract.succession import follow, split_line
from contract.wire import WireError, decode_base64
from firmware_py.enrolment import progress
from firmware_py.enrolment.desk import (
    Away,
    Desk,
    Peer,
    Refused,
    Trouble,
    believing,
    believing_nobody,
)
from firmware_py.enrolment.network import look
from firmware_py.enrolment.orders import (
    Applicant,
    NotOurs,
    certificate_of,
    make_order,
    require_authority,
)
from firmware_py.enrolment.paper import Paper, PaperUnreadable, erase, read_paper
from firmware_py.enrolment.progress import Need, Progress
from firmware_py.site.keystore import KeyStore
from firmware_py.site.place import BATCH_KEY, CERTIFICATE, KEY, KEYS, ROOTS
from runtime import logs
from runtime.clock import Clock
from runtime.durable import StorageError, write_file
from runtime.supervisor import Backoff

LOG: Final = logging.getLogger("tapover.enrolment")

ENROLMENT: Final = "/v1/enrolment"
# The first tries come quickly: somebody stands there with a cable in the hand.
BACKOFF: Final = Backoff(first_s=1.0, most_s=20.0)
LOOK_S: Final = 2.0
"""How often an enrolment file is looked for."""
REFUSED_S: Final = 60.0
"""What an operator has to mend is asked for no oftener."""
STALE: Final = frozenset({Refusal.TOKEN_UNKNOWN, Refusal.TOKEN_EXPIRED, Refusal.TOKEN_USED})
SPENT: Final = frozenset({Refusal.TOKEN_EXPIRED, Refusal.TOKEN_USED})
"""Never good again: asking with it once more would only be an alarm."""
LATER: Final = frozenset({Refusal.TOO_MANY, Refusal.STORE_FAILED})
_NS: Final = 1_000_000_000
T = TypeVar("T")


class Waits(Exception):
    """It cannot go on yet: where, what the glass says, and when to try again (None: back-off)."""

    def __init__(
        self, need: Need, words: str, retry_s: float | None = None, reference: str | None = None
    ) -> None:
        self.need = need
        self.words = words
        self.retry_s = retry_s
        self.reference = reference
        super().__init__(f"{need}: {words}")


@dataclass(frozen=True, slots=True)
class Site:
    """The site, as its root's signature vouches for it, and how to speak with its gateway."""

    authority: x509.Certificate
    peer: Peer
    floor_ms: int


class Journey:
    """`run` is its task."""

    def __init__(
        self,
        file: Path,
        identity: Path,
        keys: KeyStore,
        clock: Clock,
        chance: random.Random,
        show: Callable[[Progress], None],
    ) -> None:
        self._file = file
        self._identity = identity
        self._keys = keys
        self._clock = clock
        self._chance = chance
        self._show = show
        self._now = Progress()
        self._stale: set[str] = set()
        """Tokens that the gateway has refused in this run."""
        self._why = ""
        """What it said of the last one."""
        self._trouble = logs.Trouble(LOG, "enrolment")

    async def run(self) -> None:
        """Returns when the identity folder is whole. Raises CertificateError for a damaged one."""
        failures = 0
        while True:
            try:
                await self._attempt()
            except Waits as waits:
                failures += 1
                self._trouble.failed(str(waits))
                self._tell(waits.need, waits.words, waits.reference)
                delay_s = waits.retry_s or BACKOFF.delay_s(failures, self._chance)
                await self._sleep(delay_s)
            else:
                self._trouble.over()
                return

    async def _attempt(self) -> None:
        paper = await self._read()
        host = _host(paper)
        network = await asyncio.to_thread(look, host)
        self._now = replace(self._now, terminal=paper.place.terminal, network=network)
        site = await self._meet(paper)
        applicant = await self._applicant(paper)
        await self._ask(site, Need.CERTIFICATE, host, lambda desk: _require_authority(desk, site))
        issued = await self._order(paper, site, applicant)
        try:
            pem = certificate_of(issued, applicant, site.authority, site.floor_ms)
        except NotOurs as error:
            words = progress.NO_CERTIFICATE.format(why=error)
            raise Waits(Need.CERTIFICATE, words, REFUSED_S) from error
        await self._disk(lambda: write_file(self._identity / CERTIFICATE, pem))
        await asyncio.to_thread(erase, self._file)
        LOG.info("enrolled", extra={"terminal": paper.place.terminal})

    # --- the steps ---------------------------------------------------------------------------

    async def _read(self) -> Paper:
        try:
            paper = await asyncio.to_thread(read_paper, self._file, self._identity)
        except PaperUnreadable as error:
            raise Waits(Need.FILE, progress.BAD_FILE.format(why=error), LOOK_S) from error
        except StorageError as error:
            raise Waits(Need.FILE, progress.NO_DISK.format(why=error)) from error
        if paper is None:
            raise Waits(Need.FILE, progress.NO_FILE, LOOK_S)
        return paper

    async def _meet(self, paper: Paper) -> Site:
        """The key statement, by the pinned root; nothing secret has gone to anybody by then."""
        place, host = paper.place, _host(paper)
        desk = Desk(Peer(place.enrol_url, believing_nobody))
        self._tell(Need.GATEWAY, progress.ASKING)
        pinned, line = KeyId(place.root_fingerprint), b""
        try:
            envelope = await asyncio.to_thread(desk.keys)
            if envelope.key_id != pinned:
                line = await asyncio.to_thread(desk.roots)
        except Away as away:
            raise self._away(away, host) from away
        try:
            roots = follow(pinned, SiteId(place.site), split_line(line))
            statement = KeyStatement.open_pinned(envelope, roots[-1])
            authority = x509.load_der_x509_certificate(decode_base64(statement.terminal_ca))
        except (SignatureRefused, WireError, ValueError) as error:
            words = progress.WRONG_SITE.format(host=host)
            raise Waits(Need.GATEWAY, words, REFUSED_S) from error
        if statement.site != place.site:
            raise Waits(Need.GATEWAY, progress.WRONG_SITE.format(host=host), REFUSED_S)
        if line:  # first: the key statement is worth nothing without it
            await self._disk(lambda: write_file(self._identity / ROOTS, line))
        await self._disk(lambda: write_file(self._identity / KEYS, envelope.to_bytes()))
        operators = decode_base64(statement.operator_ca)
        floor_ms = statement.issued_ms
        tells = self._look_at_clock(floor_ms)
        peer = Peer(
            place.enrol_url,
            lambda: believing(operators, clock_tells=tells),
            None if tells else floor_ms,
        )
        return Site(authority, peer, floor_ms)

    def _look_at_clock(self, floor_ms: int) -> bool:
        """Whether the machine's clock can be right: it is not behind what was signed already."""
        wall_ms = self._clock.wall_ms()
        tells = wall_ms >= floor_ms
        day = datetime.fromtimestamp(wall_ms // 1000, UTC).strftime("%-d %B %Y, %H:%M")
        words = progress.CLOCK_SAYS.format(day=day) if tells else progress.CLOCK_BEHIND
        self._now = self._now.remarked(Need.CLOCK, words)
        return tells

    async def _applicant(self, paper: Paper) -> Applicant:
        def make() -> Applicant:
            return Applicant(
                SiteId(paper.place.site),
                TerminalId(paper.place.terminal),
                self._keys.key(self._identity / KEY),
                self._keys.key(self._identity / BATCH_KEY),
            )

        return await self._disk(make)

    async def _order(self, paper: Paper, site: Site, applicant: Applicant) -> Issued:
        host = _host(paper)
        while True:
            token = paper.token if paper.token not in self._stale else None
            basic = None if token is None else (paper.place.terminal, token)
            order = make_order(applicant, self._clock.wall_ms())
            try:
                answer = await self._ask(
                    site,
                    Need.TOKEN,
                    host,
                    lambda desk: desk.order(ENROLMENT, order, basic),  # noqa: B023
                )
            except Refused as refused:
                if token is None or refused.answer.error not in STALE:
                    raise self._refused(refused) from refused
                await self._forget(token, refused)
                continue
            if isinstance(answer, Issued):
                return answer
            await self._wait_for_operator(answer, applicant)

    async def _forget(self, token: str, refused: Refused) -> None:
        """The token is not tried again; a spent one leaves the boot partition."""
        LOG.warning("the token was refused", extra={"why": str(refused)})
        self._stale.add(token)
        self._why = progress.refused(refused.answer.error)
        if refused.answer.error in SPENT:
            await asyncio.to_thread(erase, self._file)

    async def _wait_for_operator(self, pending: Pending, applicant: Applicant) -> None:
        own = await asyncio.to_thread(lambda: applicant.code)
        if pending.code != own:
            raise Waits(Need.TOKEN, progress.OTHER_LETTERS, REFUSED_S)
        self._now = replace(self._now, code=progress.spelled(own))
        self._tell(Need.TOKEN, f"{self._why} {progress.CODE}".strip())
        await self._sleep(pending.retry_s)

    # --- how it is done ----------------------------------------------------------------------

    async def _ask(self, site: Site, need: Need, host: str, work: Callable[[Desk], T]) -> T:
        """One question, over a connection that believes this site alone. Raises Waits, Refused."""
        if self._now.code is None:
            self._tell(need, progress.ASKING)
        try:
            return await asyncio.to_thread(work, Desk(site.peer))
        except Away as away:
            raise self._away(away, host) from away
        except NotOurs as error:
            words = progress.NO_CERTIFICATE.format(why=error)
            raise Waits(Need.CERTIFICATE, words, REFUSED_S) from error

    async def _disk(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(work)
        except StorageError as error:
            raise Waits(Need.FILE, progress.NO_DISK.format(why=error)) from error

    def _away(self, away: Away, host: str) -> Waits:
        network = self._now.network
        LOG.info("no answer", extra={"why": str(away), "trouble": away.trouble.value})
        match away.trouble:
            case Trouble.CERTIFICATE | Trouble.OURS:
                return Waits(Need.CERTIFICATE, progress.NO_CERTIFICATE.format(why=away))
            case _ if not network.linked and not _is_loopback(host):
                return Waits(Need.LINK, progress.NO_LINK)
            case _ if not network.addresses:
                return Waits(Need.ADDRESS, progress.NO_ADDRESS)
            case Trouble.NAME:
                return Waits(Need.NAME, progress.NO_NAME.format(host=host))
            case _:
                return Waits(Need.GATEWAY, progress.NO_GATEWAY.format(host=host))

    def _refused(self, refused: Refused) -> Waits:
        answer = refused.answer
        later = refused.retry_s if answer.error in LATER else REFUSED_S
        return Waits(Need.TOKEN, progress.refused(answer.error), later, str(answer.code))

    def _tell(self, need: Need, words: str, reference: str | None = None) -> None:
        code = self._now.code if need is Need.TOKEN else None
        self._now = replace(self._now, at=need, words=words, code=code, reference=reference)
        self._show(self._now)

    async def _sleep(self, seconds: float) -> None:
        await self._clock.sleep_until(self._clock.monotonic_ns() + round(seconds * _NS))


def _require_authority(desk: Desk, site: Site) -> None:
    require_authority(desk.cacerts(), site.authority)


def _host(paper: Paper) -> str:
    return urlsplit(paper.place.enrol_url).hostname or ""


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
