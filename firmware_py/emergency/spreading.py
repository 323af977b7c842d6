"""Downtime goes round the ward: what was declared here is said there, and heard from there.

- Said at once, and again every few seconds while it stands and the site is silent, for terminals
  that come later; so is that it is over. A restart of the daemon goes on with it (`SAID`).
- Believed as `heard` says, and only past this terminal's own limit, with a clock that is known;
  then it lasts here as long as there, and no longer than this ward's own policy lets it.
- What began before an end that was heard is over here too, and stays over.

Where the broker is gone nobody hears anything: then each screen is declared for itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from contract.declaring import DowntimeSaid as Message
from contract.declaring import SignedDowntime
from contract.emergency import AHEAD_MS, DowntimeHeard
from contract.events import ClockTrust
from contract.ids import Digest
from contract.moving import MoveReason
from contract.policy import DOWNTIME_CEILING_S, Downtime
from contract.signing import sha256
from contract.wire import encode_base64
from firmware_py.card.records import SignedRecord
from firmware_py.emergency.downtime import SAID, DowntimeLine
from firmware_py.emergency.heard import Believed, Said, believe, read
from firmware_py.roaming.heard import Refused
from firmware_py.roaming.peers import Peers
from firmware_py.site.link import DowntimeSaid
from runtime.durable import NotThere, StorageError, read_capped, remove, write_file

LOG: Final = logging.getLogger("tapover.emergency")
AGAIN_MS: Final = 10_000
"""Who comes to a screen that has just found the broker waits no longer than for a colleague."""
_CEILING_MS: Final = DOWNTIME_CEILING_S * 1000
_SILENT_MS: Final = 7 * 24 * 3600 * 1000
"""No site is silent for longer: by so much may another clock be ahead of one that is not known."""


class Spreading:
    """Belongs to the consumer; writes in a worker thread."""

    def __init__(self, line: DowntimeLine, folder: Path) -> None:
        """Goes on with what was said before a restart, if it still stands."""
        self._line = line
        self._inside = line.inside
        self._custody = line.inside.parts.custody
        self._peers = Peers(line.inside)
        self._path = folder / SAID
        self._said: tuple[Message, Said] | None = None
        self._said_ms = -AGAIN_MS
        self._joining: Digest | None = None
        """Terms that are on their way to the disk."""
        self._writing: asyncio.Future[None] | None = None
        try:
            said = read(read_capped(self._path, Message.CAP))
        except NotThere:
            return
        except (StorageError, Refused) as error:
            LOG.warning("what was said of downtime is not known", extra={"why": str(error)})
            return
        self._said = (said.message, said)

    # --- what is said -------------------------------------------------------------------------

    def say(self, line: bytes, signed: Sequence[SignedRecord]) -> None:
        """These terms were signed here, and that is durable."""
        evidence = self._inside.signon.evidence
        by = []
        for one in signed:
            beat = evidence.heartbeat_named_in(one.event)
            by.append(
                SignedDowntime(
                    record=encode_base64(one.event),
                    signature=encode_base64(one.signature),
                    heartbeat=encode_base64(beat.to_bytes()) if beat else None,
                )
            )
        message = Message(terms=encode_base64(line), by=tuple(by))
        self._said, self._said_ms = (message, read(message.to_bytes())), -AGAIN_MS
        self._keep(message.to_bytes())
        self.again()

    def again(self) -> None:
        """Once a second: what stands is said, at its time; what does not is said no more."""
        if self._said is None:
            return
        message, said = self._said
        if not self._stands(said):
            self._said = None
            self._keep(None)
            return
        now_ms = self._line.now_ms()
        if now_ms - self._said_ms >= AGAIN_MS:
            self._said_ms = now_ms
            self._inside.parts.say_downtime(message.to_bytes())

    def _stands(self, said: Said) -> bool:
        if not self._line.stale():
            return False  # everybody hears the site again
        if said.terms.ends:
            age_ms = self._custody.freshness().now_ms - said.terms.begins_ms
            return said.terms.begins_ms == self._line.over_ms and age_ms < _CEILING_MS
        on = self._line.on
        return on is not None and on.terms == sha256(said.line)

    def _keep(self, data: bytes | None) -> None:
        before = self._writing

        async def write() -> None:
            if before is not None:
                await asyncio.wait([before])
            await asyncio.to_thread(self._write, data)

        self._writing = asyncio.ensure_future(write())

    def _write(self, data: bytes | None) -> None:
        try:
            if data is None:
                remove(self._path)
            else:
                write_file(self._path, data)
        except NotThere:
            pass
        except StorageError as error:
            LOG.warning("what is said of downtime is not kept", extra={"why": str(error)})

    def journal_down(self) -> None:
        """What was on its way is not: it is heard again."""
        self._joining = None

    # --- what is heard ------------------------------------------------------------------------

    def heard(self, item: DowntimeSaid) -> None:
        """Verify it, where it would change anything here. Raises JournalFailed."""
        policy = self._line.policy()
        if policy is None or self._inside.outage.down:
            return
        try:
            said = read(item.data)
            if said.terms.begins_ms <= self._line.over_ms:
                return  # over, and known to be
            if said.terms.ends:
                self._ends(item, said, policy)
            elif self._is_wanted(said):
                self._begins(item, said, policy)
        except Refused as error:
            self._peers.refused(item.terminal, "downtime", error, item.data)

    def _is_wanted(self, said: Said) -> bool:
        """While the site is known here, or the time is not, nobody's word changes anything."""
        digest, on = sha256(said.line), self._line.on
        known = digest == self._joining or (on is not None and on.terms == digest)
        confirmed = self._custody.freshness().clock is not ClockTrust.UNCONFIRMED
        return not known and confirmed and self._line.stale()

    def _begins(self, item: DowntimeSaid, said: Said, policy: Downtime) -> None:
        believed = believe(said, item.terminal, self._custody, policy)
        if believed is None or not self._is_of_now(said, believed):
            return
        left_ms = self._left_ms(said, policy)
        on = self._line.on
        if left_ms <= 0 or (on is not None and on.until_ms >= self._line.now_ms() + left_ms):
            return
        event = self._event(item, said, believed, max(1, left_ms // 1000))
        self._joining = sha256(said.line)

        def then(_: object) -> None:
            self._joining = None
            self._line.join(event, believed.initials)

        self._inside.stage.commit(None, (event,), then)

    def _is_of_now(self, said: Said, believed: Believed) -> bool:
        """Neither for later, nor kept from earlier. Raises Refused."""
        now_ms = self._custody.freshness().now_ms
        if said.terms.begins_ms > now_ms + AHEAD_MS:
            raise Refused(MoveReason.NOT_BELIEVED, "declared for later")
        return self._is_of_this_outage(believed)

    def _is_of_this_outage(self, believed: Believed) -> bool:
        """Not kept from an earlier one."""
        if believed.beat_ms is None:
            return False
        # Of an honest terminal, too: one that has heard nothing since long before this one did.
        limit_ms = self._inside.policy().offline_limit_s * 1000
        return believed.beat_ms >= self._custody.time.floor_ms - limit_ms

    def _left_ms(self, said: Said, policy: Downtime) -> int:
        limit_s = min(said.terms.limit_s, policy.renew_s)
        now_ms = self._custody.freshness().now_ms
        return min(limit_s * 1000, said.terms.begins_ms + limit_s * 1000 - now_ms)

    def _ends(self, item: DowntimeSaid, said: Said, policy: Downtime) -> None:
        freshness = self._custody.freshness()
        if said.terms.begins_ms <= freshness.now_ms - _CEILING_MS:
            return  # there is nothing left that it could end
        confirmed = freshness.clock is not ClockTrust.UNCONFIRMED
        if confirmed and said.terms.begins_ms > freshness.now_ms + AHEAD_MS:
            raise Refused(MoveReason.NOT_BELIEVED, "ended for later")
        believed = believe(said, item.terminal, self._custody, policy)
        if believed is None or (confirmed and not self._is_of_this_outage(believed)):
            return
        if said.terms.begins_ms > max(freshness.now_ms, believed.beat_ms or 0) + _SILENT_MS:
            raise Refused(MoveReason.NOT_BELIEVED, "ended for a time that no clock shows")
        self._line.end_elsewhere(self._event(item, said, believed, 0), said.terms)

    def _event(
        self, item: DowntimeSaid, said: Said, believed: Believed, limit_s: int
    ) -> DowntimeHeard:
        return DowntimeHeard(
            terminal=item.terminal,
            ward=said.terms.ward,
            terms=encode_base64(said.line),
            by=believed.by,
            limit_s=limit_s,
        )
