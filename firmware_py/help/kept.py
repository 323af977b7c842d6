"""Assignments that the gateway has not judged yet: kept on disk, own ones and the ward's.

A file of a few kilobytes, replaced whole (`runtime.durable`), read again after a restart.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from contract.help import MAX_HELP_BYTES
from contract.ids import Digest, DigestField, TerminalId, TerminalIdField
from contract.wire import Base64, Part, Record, WireError, decode_base64, encode_base64
from runtime.durable import NotThere, StorageError, read_capped, remove, write_file

LOG: Final = logging.getLogger("tapover.help")
# A ward has fewer spares; who sends more is no ward lead.
MOST_KEPT: Final = 32
_CAP: Final = MOST_KEPT * MAX_HELP_BYTES * 2


class _One(Part):
    terminal: TerminalIdField
    digest: DigestField
    message: Base64


class _File(Record):
    CAP: ClassVar[int] = _CAP

    type: Literal["tapover/kept-help/v1"] = "tapover/kept-help/v1"
    kept: Annotated[tuple[_One, ...], Field(max_length=MOST_KEPT)] = ()


@dataclass(slots=True)
class Kept:
    """By digest of the assignment: whose terminal's, and the message as it was sent."""

    path: Path
    messages: dict[Digest, tuple[TerminalId, bytes]] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> Kept:
        """What a damaged file held is lost, and the log says so: nothing is given by it."""
        try:
            found = _File.from_bytes(read_capped(path, _CAP))
        except NotThere:
            return cls(path)
        except (WireError, StorageError) as error:
            LOG.error("assignments that waited are lost", extra={"why": str(error)})  # noqa: TRY400
            return cls(path)
        return cls(
            path, {one.digest: (one.terminal, decode_base64(one.message)) for one in found.kept}
        )

    def add(self, digest: Digest, terminal: TerminalId, message: bytes) -> bool:
        """Durable on return; False when there is no room. Raises StorageError."""
        if digest not in self.messages and len(self.messages) >= MOST_KEPT:
            return False
        self.messages[digest] = (terminal, message)
        self._write()
        return True

    def forget(self, digest: Digest) -> None:
        """Raises StorageError."""
        if self.messages.pop(digest, None) is not None:
            self._write()

    def _write(self) -> None:
        if not self.messages:
            remove(self.path)
            return
        kept = tuple(
            _One(terminal=terminal, digest=digest, message=encode_base64(message))
            for digest, (terminal, message) in self.messages.items()
        )
        write_file(self.path, _File(kept=kept).to_bytes())
