"""Downtime by a statement of the site, brought by hand to a terminal that nothing else reaches.

A file in the terminal's own folder, signed by the site's statement key, for this ward and for this
time. It declares what two people would declare, for as long as it says and the ward's policy
allows. One that is not believed is told of once, and left where it lies.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from contract.emergency import DowntimeDeclared, DowntimeStatement
from contract.events import AlarmCode
from contract.ids import Digest, WardId
from contract.policy import Downtime
from contract.signing import Envelope, SignatureRefused, sha256
from contract.wire import WireError
from firmware_py.parts import Parts
from runtime.durable import StorageError, read_capped

LOG: Final = logging.getLogger("tapover.emergency")
FILE: Final = "downtime.statement"
CAP: Final = 8 * 1024


@dataclass(frozen=True, slots=True)
class Seen:
    """A file as it lay there: one that changes is looked at again."""

    size: int
    changed_ns: int


class Brought:
    """Belongs to the consumer."""

    def __init__(self, parts: Parts, folder: Path) -> None:
        self._parts = parts
        self._path = folder / FILE
        self._seen: Seen | None = None

    def look(self, ward: WardId, policy: Downtime, over_ms: int) -> DowntimeDeclared | None:
        """What the file declares now; null: nothing, or not any more.

        What began until `over_ms` was declared over.
        """
        try:
            found = self._path.stat()
            data = read_capped(self._path, CAP)
        except (OSError, StorageError):
            return None
        seen = Seen(found.st_size, found.st_mtime_ns)
        try:
            statement, digest = self._opened(data, ward)
        except (WireError, SignatureRefused) as error:
            if seen != self._seen:
                self._parts.sound(AlarmCode.STATEMENT_REFUSED, sha256(data), str(error))
            self._seen = seen
            return None
        left_ms = statement.until_ms - self._parts.custody.freshness().now_ms
        if left_ms <= 0 or statement.begins_ms <= over_ms:
            return None
        limit_s = min(policy.renew_s, left_ms // 1000)
        return DowntimeDeclared(
            ward=ward, by=(), terms=None, statement=digest, limit_s=max(1, limit_s)
        )

    def _opened(self, data: bytes, ward: WardId) -> tuple[DowntimeStatement, Digest]:
        keys = self._parts.custody.kept.keys
        envelope = Envelope.from_bytes(data.strip())
        statement = DowntimeStatement.open(envelope, keys.statement_key)
        now_ms = self._parts.custody.freshness().now_ms
        if (statement.site, statement.ward) != (keys.site, ward):
            raise SignatureRefused("of another site or ward")
        if now_ms < statement.begins_ms:
            raise SignatureRefused("not yet")
        return statement, envelope.digest
