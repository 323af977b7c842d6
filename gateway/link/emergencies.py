"""Break-glass as the terminals tell of it: first a leaf, then said to its ward (DESIGN §5).

- A terminal tells at once, and where its journal takes nothing this is the record of it. Its answer
  means that the statement is a leaf, and an event of the gateway's own, to be reviewed first.
- It is passed on as the terminal signed it, and said again every few seconds for some hours, for
  whoever starts or signs on later. What is kept for that is no evidence, and may be lost.
- Sent again it is the same one: no second leaf.
- What is refused is an alarm: one a terminal and minute.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from contract.emergency import (
    MAX_EMERGENCY_BYTES,
    BreakGlassTold,
    Emergency,
    crowded_out,
    is_shown,
)
from contract.events import Alarm, AlarmCode
from contract.ids import SessionId, SiteId, TerminalId
from contract.signing import Envelope, SignatureRefused, sha256
from contract.wire import Base64, Record, WireError, decode_base64, encode_base64
from gateway.directory.register import NotRegistered, Register
from gateway.evidence.journal import Moment
from gateway.evidence.keeping import Evidence
from gateway.store import Store
from runtime.clock import Clock
from runtime.durable import NotThere, StorageError, read_capped, write_file

_log: Final = logging.getLogger(__name__)
# More than a site opens in four hours on its worst night; then the oldest of the terminal that says
# most is said no more.
MOST_SAID: Final = 64
AGAIN_NS: Final = 10 * 1_000_000_000
QUIET_NS: Final = 60 * 1_000_000_000
"""A terminal says again what is not taken; the log need not hold each time."""


class EmergencyRefused(Exception):
    """It is not what a terminal of this site says of itself."""


class _File(Record):
    CAP: ClassVar[int] = 2 * MOST_SAID * MAX_EMERGENCY_BYTES

    type: Literal["tapover/said-emergencies/v1"] = "tapover/said-emergencies/v1"
    said: Annotated[tuple[Base64, ...], Field(max_length=MOST_SAID)] = ()


class Emergencies:
    """`take` blocks: call it in a worker thread. Everything else is for the event loop."""

    def __init__(
        self,
        store: Store,
        evidence: Evidence,
        register: Register,
        site: SiteId,
        path: Path,
        clock: Clock,
    ) -> None:
        self._store = store
        self._evidence = evidence
        self._register = register
        self._site = site
        self._path = path
        self._clock = clock
        self._turn = threading.Lock()
        self._said: tuple[tuple[Emergency, bytes], ...] = self._read()
        self._refused_ns: dict[TerminalId, int] = {}
        """Of each registered terminal, when its newest refusal was an alarm."""

    def take(self, message: bytes, terminal: TerminalId, now: Moment) -> bool:
        """Whether it was not said yet; the log holds it in any case.

        Raises EmergencyRefused, StoreFailed.
        """
        try:
            envelope, emergency = self._opened(message, terminal)
        except (WireError, SignatureRefused, NotRegistered) as error:
            self._refused(message, terminal, str(error), now)
            raise EmergencyRefused(str(error)) from error
        with self._turn:
            if self._is_known(envelope):
                # A gateway that died in between has the leaf, and has said nothing.
                fresh = _named(emergency) not in {_named(one) for one, _ in self._said}
            else:
                self._write(envelope, emergency, now)
                fresh = True
            if fresh:
                self._keep(emergency, message)
        return fresh

    def standing(self) -> list[Emergency]:
        """What is shown now, the newest first."""
        return [emergency for emergency, _ in reversed(self._shown())]

    async def run(self, say: Callable[[bytes], None]) -> None:
        """Says each of them again, for ever."""
        while True:
            await self._clock.sleep_until(self._clock.monotonic_ns() + AGAIN_NS)
            for _, message in self._shown():
                say(message)

    def _is_known(self, envelope: Envelope) -> bool:
        with self._store.read() as tx:
            return tx.log.has_statement(envelope.digest)

    def _write(self, envelope: Envelope, emergency: Emergency, now: Moment) -> None:
        terminal = emergency.terminal
        told = BreakGlassTold(
            subject=envelope.digest, terminal=terminal, session=emergency.opened.session
        )
        with self._evidence.log.appending() as work:
            work.add_statement(envelope)
            self._evidence.write_own(work, [told], now)
        _log.warning("break-glass", extra={"terminal": terminal, "ward": emergency.ward})

    def _refused(self, message: bytes, terminal: TerminalId, why: str, now: Moment) -> None:
        with self._turn:
            now_ns, last_ns = self._clock.monotonic_ns(), self._refused_ns.get(terminal)
            quiet = last_ns is not None and now_ns - last_ns < QUIET_NS
            facts = {"terminal": terminal, "why": why}
            _log.log(
                logging.DEBUG if quiet else logging.WARNING, "an emergency is refused", extra=facts
            )
            if quiet:
                return
            self._refused_ns[terminal] = now_ns
            with self._evidence.log.appending() as work:
                alarm = Alarm(code=AlarmCode.PEER_REFUSED, subject=sha256(message))
                self._evidence.write_own(work, [alarm], now)

    def _shown(self) -> list[tuple[Emergency, bytes]]:
        now_ms = self._clock.wall_ms()
        return [one for one in self._said if is_shown(one[0], now_ms)]

    def _opened(self, message: bytes, terminal: TerminalId) -> tuple[Envelope, Emergency]:
        if len(message) > MAX_EMERGENCY_BYTES:
            raise WireError(f"more than {MAX_EMERGENCY_BYTES} bytes")
        known = self._register.active(terminal)
        envelope = Envelope.from_bytes(message)
        emergency = Emergency.open(envelope, known.key)
        said = (emergency.site, emergency.terminal, emergency.ward)
        if said != (self._site, terminal, known.ward):
            raise SignatureRefused("of another site, terminal or ward")
        return envelope, emergency

    def _keep(self, emergency: Emergency, message: bytes) -> None:
        others = [one for one in self._shown() if _named(one[0]) != _named(emergency)]
        kept = [*others, (emergency, message)]
        while len(kept) > MOST_SAID:
            del kept[crowded_out([one.terminal for one, _ in kept])]
        self._said = tuple(kept)
        said = tuple(encode_base64(one) for _, one in self._said)
        try:
            write_file(self._path, _File(said=said).to_bytes())
        except StorageError as error:
            _log.warning("what is said is not kept", extra={"why": str(error)})

    def _read(self) -> tuple[tuple[Emergency, bytes], ...]:
        try:
            kept = _File.from_bytes(read_capped(self._path, _File.CAP))
            messages = [decode_base64(one) for one in kept.said]
            return tuple((_unverified(message), message) for message in messages)
        except NotThere:
            return ()
        except (StorageError, WireError) as error:
            _log.warning("what was said is not known any more", extra={"why": str(error)})
            return ()


def _named(emergency: Emergency) -> tuple[TerminalId, SessionId]:
    """A session's id alone is what any terminal may say."""
    return emergency.terminal, emergency.opened.session


def _unverified(message: bytes) -> Emergency:
    """Out of our own keeping; whoever hears it judges it anew."""
    return Emergency.from_bytes(decode_base64(Envelope.from_bytes(message).payload))
