"""What the authority knows of each card it made: a file a card, written before the card changes.

A card's GUID is the first thing that is written to it, so a card that was torn away says itself
which of these files is its own. A file is made once and never removed: no GUID is given twice.

Stages: BEGUN (some of it may be on the card) → MADE (all of it is, and it was proved) → GIVEN (its
entitlement was published). UNDOING → BLANK takes it back, from any stage but GIVEN.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field

from contract.directory import Credential
from contract.escrow import PukEscrow
from contract.ids import Guid, GuidField, HolderIdField
from contract.wire import Count, Record, UnixMs, WireError
from provisioning.errors import BadInput, DiskFailed
from provisioning.site import keys
from provisioning.site.folder import SiteFolder
from runtime import durable


class Stage(StrEnum):
    """How far a card is."""

    BEGUN = "begun"
    MADE = "made"
    GIVEN = "given"
    UNDOING = "undoing"
    BLANK = "blank"


class PukDoubt(Record):
    """While it stands, the card's PUK is the present one or `wanted` (null: the factory's)."""

    wanted: PukEscrow | None
    tries_present: Count = 0
    """Guesses sent since the last answer, of the one and of the other."""
    tries_wanted: Count = 0


class CardRecord(Record):
    """One card. Nothing in it is of use without the authority's keys."""

    CAP: ClassVar[int] = 32 * 1024

    type: Literal["tapover/card-record/v1"] = "tapover/card-record/v1"
    guid: GuidField
    holder: HolderIdField
    stage: Stage
    begun_ms: UnixMs
    puk: PukEscrow | None = None
    """What the card answered to last; null: the factory's."""
    doubt: PukDoubt | None = None
    management: str | None = None
    """Algorithm of its own management key once that was set; null: the factory's, or unsure."""
    credentials: Annotated[tuple[Credential, ...], Field(max_length=2)] = ()
    """As they were proved; empty before MADE."""
    ends_ms: UnixMs | None = None
    """When its certificates end."""

    def with_(self, **changes: object) -> Self:
        """The same card, further on."""
        return self.model_copy(update=changes)


class CardBook:
    """All the files. Each method ends when the disk has it."""

    def __init__(self, folder: Path) -> None:
        """In `folder`, which is made when the first card is."""
        self._folder = folder

    @classmethod
    def of(cls, site: SiteFolder) -> Self:
        """A site's."""
        return cls(site.authority / "cards")

    def begin(self, holder: str, now_ms: int) -> CardRecord:
        """A card of a fresh GUID (RFC 9562 version 4). Raises DiskFailed."""
        guid = Guid(uuid.uuid4().hex)
        record = CardRecord.model_validate(
            {"guid": guid, "holder": holder, "stage": Stage.BEGUN, "begun_ms": now_ms}
        )
        try:
            durable.make_folder(self._folder)
        except durable.StorageError as error:
            raise DiskFailed(str(error)) from error
        keys.write_new(self._path(guid), record.to_bytes())
        return record

    def keep(self, record: CardRecord) -> CardRecord:
        """The newest of this card; returned, for chaining. Raises DiskFailed."""
        try:
            durable.write_file(self._path(record.guid), record.to_bytes())
        except durable.StorageError as error:
            raise DiskFailed(str(error)) from error
        return record

    def recall(self, guid: Guid) -> CardRecord | None:
        """What is known of a card; None when it was not made here. Raises BadInput."""
        path = self._path(guid)
        try:
            record = CardRecord.from_bytes(durable.read_capped(path, CardRecord.CAP))
        except durable.NotThere:
            return None
        except (durable.StorageError, WireError) as error:
            raise BadInput(f"{path}: {error}") from error
        if record.guid != guid:
            raise BadInput(f"{path} is the record of another card")
        return record

    def given(self, guid: Guid) -> None:
        """Its entitlement was published: from now on the card is its holder's."""
        record = self.recall(guid)
        if record is not None and record.stage is Stage.MADE:
            self.keep(record.with_(stage=Stage.GIVEN))

    def all(self) -> Iterator[CardRecord]:
        """Every card that was ever begun. Raises BadInput."""
        for path in sorted(self._folder.glob("*.json")):
            record = self.recall(Guid(path.stem))
            if record is not None:
                yield record

    def _path(self, guid: Guid) -> Path:
        return self._folder / f"{guid}.json"
