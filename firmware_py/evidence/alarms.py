"""Alarms: what must not pass unseen goes into journal and log at a bounded rate, and is counted."""

from __future__ import annotations

import logging
from typing import Final

from contract.events import Alarm, AlarmCode
from contract.ids import Digest
from firmware_py.evidence.journal import Journal, JournalFailed
from runtime.clock import Clock

_log: Final = logging.getLogger(__name__)
# A peer that sends nonsense for a night must fill neither journal nor log: one a code and minute.
QUIET_NS: Final = 60 * 1_000_000_000


class Alarms:
    """Journals alarms. `count` counts every one, also those that the bounded rate kept out."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self.count = 0
        self._journal = journal
        self._clock = clock
        self._last_ns: dict[AlarmCode, int] = {}

    def sound(self, code: AlarmCode, subject: Digest | None = None, why: str = "") -> None:
        """`subject` is the digest of what was refused; `why` is for the log alone."""
        self.count += 1
        now_ns = self._clock.monotonic_ns()
        last_ns = self._last_ns.get(code)
        quiet = last_ns is not None and now_ns - last_ns < QUIET_NS
        facts = {"code": code, "subject": subject, "why": why, "so_far": self.count}
        _log.log(logging.DEBUG if quiet else logging.WARNING, "alarm", extra=facts)
        if quiet:
            return
        self._last_ns[code] = now_ns
        try:
            self._journal.append(Alarm(code=code, subject=subject))
        except JournalFailed as error:
            _log.warning("alarm not journalled", extra={"code": code, "why": str(error)})
