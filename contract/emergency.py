"""Break-glass and downtime, in journals and on the wire: who, why, until when (DESIGN §5).

- Break-glass opens the ward's fixed emergency position. Its event says on what ground, in whose
  name (null: nobody's), and where it was first safe: a journal that could not be written gets it
  when it can. A card that was tapped while no journal could hold its record signed one all the
  same; event and signature then stand in the break-glass event itself (`CardProof`).
- An *emergency* is the same, signed by the terminal's batch key, for the nurse in charge: said to
  the ward's other terminals on its own topic, and told to the gateway, where it is a leaf, and from
  where it is said again.
- Downtime is declared by two people, each by a downtime record (`contract.tap`) under the same
  terms and the one text that is shown for them (`DowntimeTerms.words`), or by a statement of the
  site. Another terminal of the ward that hears and believes them says so in its own journal.
- That it is over, one person declares likewise: whatever began before, on that ward, is over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from contract.ids import (
    DigestField,
    GuidField,
    HolderIdField,
    KeyIdField,
    Nonce,
    PositionIdField,
    SessionIdField,
    SiteIdField,
    TerminalId,
    TerminalIdField,
    WardIdField,
)
from contract.policy import DOWNTIME_CEILING_S, BreakGlassState, RoleCode
from contract.signing import CardAlgorithm, PayloadType, Statement
from contract.wire import Base64, Count, Part, Record, UnixMs

# An emergency carries a card record of at most 4 KiB in base64, and little else.
MAX_EMERGENCY_BYTES: Final = 16 * 1024
# The ward's lead sees it for so long: a shift's handover is the place to talk about older ones.
SHOWN_MS: Final = 4 * 3600 * 1000
# Clocks of a site differ by less; offline a terminal says what it knows.
AHEAD_MS: Final = 5 * 60 * 1000


class Kept(StrEnum):
    """Where break-glass was written down before its workspace was shown."""

    JOURNAL = "journal"
    RESERVE = "reserve"
    """In the space set aside beside a journal that could not be written."""
    GATEWAY = "gateway"
    """As a leaf of the site's log alone."""
    LATER = "later"
    """Nowhere: it was shown as unrecorded, and journalled when anything could take it."""


class CardProof(Part):
    """A card's signature over a record that no journal holds."""

    event: Base64
    """Its exact bytes: a `card.record` of a journal that never was, at its beginning."""
    key: KeyIdField
    algorithm: CardAlgorithm
    signature: Base64


class BreakGlassOpened(Part):
    """The ward's emergency position was taken."""

    kind: Literal["break-glass.opened"] = "break-glass.opened"
    session: SessionIdField
    position: PositionIdField
    reason: RoleCode
    """What the person touched."""
    state: BreakGlassState
    """What stood between her and her own rights."""
    read_only: bool
    """Without a card, and nobody confirmed it."""
    holder: HolderIdField | None
    """By a good proof of the card; null: nobody's name stands here."""
    guid: GuidField | None
    """As the card said. Where `holder` is null that is a claim, and no more."""
    record: Count | None
    """Sequence of the card record that it signed, where this journal has one."""
    proof: CardProof | None
    colleague: HolderIdField | None = None
    """Who confirmed it, for somebody without a card."""
    colleague_record: Count | None = None
    begins_ms: UnixMs
    """Site time, as the terminal knew it."""
    limit_s: Count
    kept: Kept


class BreakGlassTold(Part):
    """Gateway's journal: a terminal told of break-glass. To be reviewed, and first."""

    kind: Literal["break-glass.told"] = "break-glass.told"
    priority: Literal["high"] = "high"
    subject: DigestField
    """Of the emergency's envelope, a leaf."""
    terminal: TerminalIdField
    session: SessionIdField


class BreakGlassHeard(Part):
    """A terminal said so on its own topic, and another one of its ward wrote it down as well.

    The power may go where it was opened before anything there could take it.
    """

    kind: Literal["break-glass.heard"] = "break-glass.heard"
    subject: DigestField
    """Of the emergency's envelope, which that terminal has signed."""
    terminal: TerminalIdField
    session: SessionIdField
    holder: HolderIdField | None
    """As the terminal says; no card's signature stands behind it here."""
    guid: GuidField | None
    reason: RoleCode
    state: BreakGlassState
    begins_ms: UnixMs
    kept: Kept
    """Where it was safe by then."""


class Emergency(Statement):
    """By the terminal's batch key."""

    PAYLOAD_TYPE: ClassVar[PayloadType] = PayloadType.EMERGENCY
    CAP: ClassVar[int] = MAX_EMERGENCY_BYTES

    type: Literal["tapover/emergency/v1"] = "tapover/emergency/v1"
    site: SiteIdField
    terminal: TerminalIdField
    ward: WardIdField
    opened: BreakGlassOpened


class DowntimeTerms(Record):
    """What two people declare, at one terminal of a ward: so long, without these roles."""

    CAP: ClassVar[int] = 4096

    type: Literal["tapover/downtime-terms/v1"] = "tapover/downtime-terms/v1"
    site: SiteIdField
    terminal: TerminalIdField
    ward: WardIdField
    begins_ms: UnixMs
    """Site time, as the terminal knew it.

    Later than whatever was declared over there; an end is not before what it ends.
    """
    limit_s: Annotated[int, Field(ge=1, le=DOWNTIME_CEILING_S)]
    """From then."""
    off: Annotated[tuple[RoleCode, ...], Field(max_length=32)]
    ends: bool = False
    """They declare that it is over."""
    nonce: Nonce

    def words(self) -> str:
        """What the kiosk shows, and each of them agrees to."""
        if self.ends:
            return f"Downtime on {self.ward} is over, declared at {self.terminal}."
        without = f" Without {', '.join(self.off)}." if self.off else ""
        minutes = self.limit_s // 60
        said = f"Downtime on {self.ward}, declared at {self.terminal}"
        return f"{said}, {minutes} minutes.{without}"


class Declarer(Part):
    """Somebody who declared, and the sequence of her downtime record in this journal."""

    holder: HolderIdField
    record: Count


class DowntimeDeclared(Part):
    """A ward goes on without its gateway; renewed by the same."""

    kind: Literal["downtime.declared"] = "downtime.declared"
    ward: WardIdField
    by: Annotated[tuple[Declarer, ...], Field(max_length=2)]
    """Two different people; empty where a statement declares it."""
    terms: Base64 | None
    """The `DowntimeTerms` that both signed."""
    statement: DigestField | None
    limit_s: Count
    """From this event."""

    @model_validator(mode="after")
    def _grounded(self) -> DowntimeDeclared:
        people = len({one.holder for one in self.by})
        if (people, self.terms is None, self.statement is None) not in _GROUNDS:
            raise ValueError("two people's word with its terms, or a statement")
        return self


_GROUNDS: Final = {(2, False, True), (0, True, False)}


class DowntimeEnd(StrEnum):
    """Why it is over."""

    GATEWAY = "gateway"
    """Rights are known again."""
    DECLARED = "declared"
    LAPSED = "lapsed"
    """Nobody renewed it in time."""
    ELSEWHERE = "elsewhere"
    """Declared at another terminal of the ward; the event before says by whom."""


class DowntimeEnded(Part):
    """A ward is back; a start of the machine ends it without an event."""

    kind: Literal["downtime.ended"] = "downtime.ended"
    ward: WardIdField
    why: DowntimeEnd
    by: Declarer | None = None
    """Where it was declared."""
    terms: Base64 | None = None
    """The `DowntimeTerms` that she signed: what began until then is over, and stays over."""

    @model_serializer(mode="wrap")
    def _as_before(self, write: SerializerFunctionWrapHandler) -> dict[str, object]:
        written: dict[str, object] = write(self)
        if self.terms is None:
            del written["terms"]
        return written


class HeardDeclarer(Part):
    """Somebody who declared it at another terminal."""

    holder: HolderIdField
    guid: GuidField
    key: KeyIdField
    """The 9A key by which the record was checked."""
    record: DigestField
    """SHA-256 of the downtime record's event, in that terminal's journal."""


class DowntimeHeard(Part):
    """Another terminal of the ward said so, the cards' signatures held, and it counts here too."""

    kind: Literal["downtime.heard"] = "downtime.heard"
    terminal: TerminalIdField
    ward: WardIdField
    """Of both terminals."""
    terms: Base64
    """The `DowntimeTerms` that they signed there; they say whether it begins or ends."""
    by: Annotated[tuple[HeardDeclarer, ...], Field(min_length=1, max_length=2)]
    limit_s: Count
    """From this event; 0: it ends."""


class DowntimeStatement(Statement):
    """The site's own word, by the statement key: brought by hand, or sent before planned work."""

    PAYLOAD_TYPE: ClassVar[PayloadType] = PayloadType.DOWNTIME
    CAP: ClassVar[int] = 4096

    type: Literal["tapover/downtime/v1"] = "tapover/downtime/v1"
    site: SiteIdField
    ward: WardIdField
    begins_ms: UnixMs
    until_ms: UnixMs
    nonce: Nonce

    @model_validator(mode="after")
    def _bounded(self) -> DowntimeStatement:
        if not self.begins_ms < self.until_ms <= self.begins_ms + DOWNTIME_CEILING_S * 1000:
            raise ValueError("downtime is declared for twelve hours at most, and then anew")
        return self


class DowntimeStated(Part):
    """Gateway's journal: such a statement was made; the leaf before holds it."""

    kind: Literal["downtime.stated"] = "downtime.stated"
    subject: DigestField
    """Of the statement's envelope."""
    ward: WardIdField
    minutes: Count
    account: Count
    """Who asked for it, by the number of an account of the gateway's machine."""


def is_shown(emergency: Emergency, now_ms: int) -> bool:
    """Whether it is of use to anybody at this site time."""
    return -AHEAD_MS <= now_ms - emergency.opened.begins_ms < SHOWN_MS


def crowded_out(said_by: Sequence[TerminalId]) -> int:
    """Where there is no room for all of these, the oldest first: the place of the one to give way.

    It is the oldest of whoever says most: however much one terminal says, it hides no other's.
    """
    return said_by.index(Counter(said_by).most_common(1)[0][0])
