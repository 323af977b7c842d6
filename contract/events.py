"""Audit events: one envelope, small typed details; opaque ids, never a name or free text.

The gateway never reads them (DESIGN §7.3). Readers who do (projection, verifier, terminal after a
restart) take an unknown kind as opaque: kinds are added, and a detail grows only at its end.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from contract.bedside import CardLeft, SessionHeld, SessionKind
from contract.countersigning import CountersignEnded
from contract.emergency import (
    BreakGlassHeard,
    BreakGlassOpened,
    BreakGlassTold,
    DowntimeDeclared,
    DowntimeEnded,
    DowntimeHeard,
    DowntimeStated,
)
from contract.enrolment import BatchKeptApart, TerminalEnrolled, TerminalRetired
from contract.governing import (
    BodiesDeleted,
    ChangeDecided,
    ChangeDenied,
    ChangeHeld,
    DirectoryPublished,
    GatewayStarted,
    LockFlagged,
    PolicyUnserved,
)
from contract.helping import HelpGiven, HelpJudged
from contract.ids import (
    BootIdField,
    DigestField,
    GuidField,
    HolderIdField,
    JournalIdField,
    KeyIdField,
    PositionIdField,
    Salt,
    SessionIdField,
    TerminalIdField,
)
from contract.moving import MoveRefused, PinHeard, SessionMoved
from contract.pinning import PinChanged, PinContactless
from contract.signing import CardAlgorithm
from contract.tap import CardRecord, DirectoryVersion
from contract.wire import Base64, ByKind, Count, Part, Record, UnixMs


class ClockTrust(StrEnum):
    """What stands behind a wall time (DESIGN §6)."""

    SITE = "site"
    """Within bounds of a site time answered since boot."""
    RTC = "rtc"
    """A clock chip that was checked while online, no answer since boot."""
    UNCONFIRMED = "unconfirmed"


class Reason(StrEnum):
    """Why a decision fell; the same word reaches glass, log and metric (STYLE 7)."""

    GRANTED = "granted"
    PIN_NEEDED = "pin-needed"
    POSITION_NEEDED = "position-needed"
    NO_DIRECTORY = "no-directory"
    DIRECTORY_STALE = "directory-stale"
    CLOCK_UNCONFIRMED = "clock-unconfirmed"
    TERMINAL_UNKNOWN = "terminal-unknown"
    TERMINAL_RETIRED = "terminal-retired"
    CARD_FOREIGN = "card-foreign"
    CARD_UNKNOWN = "card-unknown"
    CARD_KEY_WRONG = "card-key-wrong"
    CARD_TORN = "card-torn"
    CARD_HUNG = "card-hung"
    CARD_ERROR = "card-error"
    CARD_LEFT = "card-left"
    NOT_YET_VALID = "not-yet-valid"
    EXPIRED = "expired"
    SUSPENDED = "suspended"
    REVOKED = "revoked"
    LOST = "lost"
    ROLE_NOT_ALLOWED = "role-not-allowed"
    PIN_WRONG = "pin-wrong"
    PIN_BLOCKED = "pin-blocked"
    PIN_UNGATED = "pin-ungated"
    PIN_NOT_HERE = "pin-not-here"
    PIN_ABANDONED = "pin-abandoned"
    JOURNAL_FAILED = "journal-failed"
    SHARED = "shared"
    """The screen is held: to join, or to take over."""
    OFFER_ABANDONED = "offer-abandoned"
    BREAK_GLASS = "break-glass"
    """Granted, in the ward's emergency position."""
    SAME_PERSON = "same-person"
    """A countersign wants another person than the session's holder."""
    NOT_DONE = "not-done"
    """Help, or a new PIN, was wanted and could not be had here; the daemon's log says why."""


class OutcomeResult(StrEnum):
    """What a card record led to."""

    OPENED = "opened"
    RESUMED = "resumed"
    CLOSED_BY_TAP = "closed-by-tap"
    PARKED_BY_TAP = "parked-by-tap"
    STILL_YOU = "still-you"
    WOKEN = "woken"
    PROVED = "proved"
    """A PIN was proved; the tap it belongs to is decided by the outcome that follows."""
    ASKED = "asked"
    OFFERED = "offered"
    REFUSED = "refused"
    JOINED = "joined"
    """She stands at a screen that is held."""
    COUNTERSIGNED = "countersigned"
    """A second person's card, under a text: it opens nothing."""


class SessionChange(StrEnum):
    """What happened to a session."""

    OPENED = "opened"
    RESUMED = "resumed"
    PARKED = "parked"
    LOCKED = "locked"
    UNLOCKED = "unlocked"
    CLOSED = "closed"


class Cause(StrEnum):
    """What moved a session."""

    TAP = "tap"
    TAP_OVER = "tap-over"
    TAP_OUT = "tap-out"
    IDLE = "idle"
    MOVED = "moved"
    EVICTED = "evicted"
    AGED = "aged"
    REVOKED = "revoked"
    BUTTON = "button"
    SHUTDOWN = "shutdown"
    RESTART = "restart"
    FAULT = "fault"
    LIMIT = "limit"
    """A session that was limited in time is over."""
    LEFT_CARD = "left-card"
    POSITION = "position"
    """Its holder goes on in another position."""
    BREAK_GLASS = "break-glass"


class JournalOpened(Part):
    """Always event 0. A new journal names the last head it knows."""

    kind: Literal["journal.opened"] = "journal.opened"
    software: Annotated[str, Field(pattern=r"^[0-9A-Za-z.+-]{1,40}$")]
    previous_journal: JournalIdField | None = None
    previous_next: Count | None = None
    previous_head: DigestField | None = None


class TerminalStarted(Part):
    """The daemon is there; also the only word on what it ran before."""

    kind: Literal["terminal.started"] = "terminal.started"
    software: Annotated[str, Field(pattern=r"^[0-9A-Za-z.+-]{1,40}$")]
    directory: DirectoryVersion


class TerminalStopped(Part):
    """The daemon ended in order; a journal that lacks it was cut short."""

    kind: Literal["terminal.stopped"] = "terminal.stopped"


class CardRecorded(Part):
    """The tap record: flushed while the card computes.

    Its event's bytes are what the card signs.
    """

    kind: Literal["card.record"] = "card.record"
    record: CardRecord


class CardOutcome(Part):
    """What came of a card record. Durable before anything is shown."""

    kind: Literal["card.outcome"] = "card.outcome"
    record: Count | None
    """Sequence of the card record.

    Null when the card never got so far (foreign, torn before its GUID).
    """
    guid: GuidField | None
    result: OutcomeResult
    reason: Reason
    key: KeyIdField | None = None
    """The public key by which the signature was checked; null where none was checked."""
    algorithm: CardAlgorithm | None = None
    signature: Base64 | None = None
    holder: HolderIdField | None = None
    position: PositionIdField | None = None
    session: SessionIdField | None = None
    pin_record: Count | None = None
    """Sequence of the pin record whose grace this rests on, when it lies in this journal."""
    clock: ClockTrust | None = None
    attempts: Count | None = None
    """PIN attempts left, where the card said so."""
    shared: bool = False
    """While the screen was held: the author of what is done there is uncertain."""

    @model_serializer(mode="wrap")
    def _as_before(self, write: SerializerFunctionWrapHandler) -> dict[str, object]:
        return _said(write(self), shared=False)


class HeartbeatHeld(Part):
    """The heartbeat to which the card records after it refer.

    It proves that they were not made before it.
    """

    kind: Literal["heartbeat.held"] = "heartbeat.held"
    envelope: Base64


class SessionChanged(Part):
    """A step of a session, durable before the workspace follows it."""

    kind: Literal["session.changed"] = "session.changed"
    session: SessionIdField
    holder: HolderIdField
    position: PositionIdField
    change: SessionChange
    cause: Cause
    ground: SessionKind = SessionKind.ORDINARY
    shared: bool = False

    @model_serializer(mode="wrap")
    def _as_before(self, write: SerializerFunctionWrapHandler) -> dict[str, object]:
        return _said(write(self), ground=SessionKind.ORDINARY, shared=False)


def _said(fields: dict[str, object], **silent: object) -> dict[str, object]:
    """What came later is written where it says something: older events keep their bytes."""
    return {name: value for name, value in fields.items() if silent.get(name, ...) != value}


class TapTiming(Part):
    """Where a tap's time went, in microseconds; written after the screen."""

    kind: Literal["tap.timing"] = "tap.timing"
    record: Count
    exchanges: Count
    card_us: Count
    """Inside PC/SC calls: driver, wire and card."""
    flush_us: Count
    software_us: Count
    """From the status wait to the kiosk's receipt, less `card_us` and the flushes waited for."""
    total_us: Count


class TrustChanged(Part):
    """A directory version was applied."""

    kind: Literal["trust.changed"] = "trust.changed"
    directory: DirectoryVersion
    head: DigestField
    source: Literal["snapshot", "change"]


class ReaderChanged(Part):
    """A reader came or went."""

    kind: Literal["reader.changed"] = "reader.changed"
    reader: Count
    """The reader's place in the terminal's list, never its name."""
    interface: Literal["contact", "contactless"]
    state: Literal["attached", "detached"]


class AlarmCode(StrEnum):
    """What somebody should look into."""

    STATEMENT_REFUSED = "statement-refused"
    CHECKPOINT_INCONSISTENT = "checkpoint-inconsistent"
    RECEIPT_REFUSED = "receipt-refused"
    JOURNAL_FORKED = "journal-forked"
    INCLUSION_UNPROVEN = "inclusion-unproven"
    CARD_HUNG = "card-hung"
    CLOCK_STEPPED = "clock-stepped"
    PEER_REFUSED = "peer-refused"
    TOKEN_REUSED = "token-reused"  # noqa: S105 - a reason, no secret
    CRL_NOT_RENEWED = "crl-not-renewed"
    SESSION_NOT_ENDED = "session-not-ended"
    HELP_REFUSED = "help-refused"
    POLICY_UNSERVABLE = "policy-unservable"
    """The ward's policy asks what this terminal cannot do, or cannot be read."""
    NOT_IDENTIFIED = "not-identified"
    """Break-glass in nobody's name."""
    NOT_RECORDED = "not-recorded"
    """Break-glass that nothing could take when it was opened."""


class Alarm(Part):
    """Something was refused that an honest peer does not send, or that a sound card does not do."""

    kind: Literal["alarm"] = "alarm"
    code: AlarmCode
    subject: DigestField | None = None
    """Digest of what was refused, where there is such a thing."""


Detail = (
    JournalOpened
    | TerminalStarted
    | TerminalStopped
    | CardRecorded
    | CardOutcome
    | HeartbeatHeld
    | SessionChanged
    | TapTiming
    | TrustChanged
    | ReaderChanged
    | Alarm
    | BodiesDeleted
    | GatewayStarted
    | DirectoryPublished
    | ChangeDenied
    | ChangeHeld
    | ChangeDecided
    | LockFlagged
    | PolicyUnserved
    | TerminalEnrolled
    | TerminalRetired
    | BatchKeptApart
    | HelpGiven
    | PinContactless
    | PinChanged
    | HelpJudged
    | SessionHeld
    | CardLeft
    | BreakGlassOpened
    | BreakGlassTold
    | BreakGlassHeard
    | DowntimeDeclared
    | DowntimeEnded
    | DowntimeStated
    | DowntimeHeard
    | CountersignEnded
    | SessionMoved
    | MoveRefused
    | PinHeard
)


class Event(Record):
    """One line of a journal. `salt` keeps a hash from being guessed after its body is deleted."""

    CAP: ClassVar[int] = 4096

    type: Literal["tapover/event/v1"] = "tapover/event/v1"
    terminal: TerminalIdField
    journal: JournalIdField
    sequence: Count
    boot: BootIdField
    monotonic_ms: Count
    wall_ms: UnixMs
    clock: ClockTrust
    salt: Salt
    detail: Annotated[Detail, ByKind(Detail)]
