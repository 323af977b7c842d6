"""What an application sends and is sent: closed records, each the schema of its own description."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from contract.bedside import SessionKind
from contract.countersigning import CountersignResult
from contract.directory import Slot
from contract.ids import DigestField, HolderIdField, JournalIdField, SessionIdField, TerminalIdField
from contract.policy import IDLE_LOCK_CEILING_S
from contract.signing import CardAlgorithm
from contract.wire import Base64, Count, Part
from firmware_py.readable import readable

# A countersign's text in JSON, each of its letters escaped, and little else.
MAX_BODY_BYTES: Final = 16 * 1024
TEXT_CAP: Final = 1000
"""Characters: what a second person reads standing."""
TITLE_CAP: Final = 80

READABLE: Final = AfterValidator(readable)
# Lines, and no other control character: nothing may be on the glass that nobody sees.
_PLAIN: Final = r"^[^\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]+$"
_LINE: Final = _PLAIN.replace(r"\x0b", r"\x0a")


class SignedOnNow(Part):
    """Whose work is on the glass; nothing of a card."""

    session: SessionIdField
    """Name it in whatever is asked: it is refused once another's work is there."""
    holder: HolderIdField
    name: str
    """In the form that the ward's policy lets the glass show."""
    initials: str
    position: str
    position_name: str
    role: str
    """Of the position. In an emergency the ward's policy says it, or it is the position's id."""
    kind: SessionKind
    """On what ground: `break-glass` and `emergency-view` by no right of the holder's."""
    state: Literal["open", "dimmed", "warning"]
    shared: bool
    """The screen is held open for several: who does what is uncertain."""


class Who(Part):
    """Null: nobody, or the screen is locked."""

    signed_on: SignedOnNow | None


class UnsavedNow(Part):
    """Whether the application holds what is not saved."""

    session: SessionIdField
    unsaved: bool


class Extend(Part):
    """In use without input for so long: the screen locks later, up to the ward's cap.

    Never instead of a tap.
    """

    session: SessionIdField
    seconds: Annotated[int, Field(ge=1, le=IDLE_LOCK_CEILING_S)]


class Lock(Part):
    """As the lock button."""

    session: SessionIdField


class Countersign(Part):
    """A second person is asked to sign this text with her card."""

    session: SessionIdField
    title: Annotated[str, Field(min_length=1, max_length=TITLE_CAP, pattern=_LINE), READABLE]
    text: Annotated[str, Field(min_length=1, max_length=TEXT_CAP, pattern=_PLAIN), READABLE]
    """Shown as it is, under the title: the card signs the SHA-256 of title, newline and text.

    Both read as they are signed: no unseen characters, no letters from right to left, no word of
    two alphabets, at most one empty line at a time.
    """
    document: DigestField
    """SHA-256 of the document that the answer belongs to."""
    pin: bool = False
    """Whether a tap is not enough."""


class Signature(Part):
    """What anybody checks, without us: `signature` by `key` over DOMAIN and `record`.

    DOMAIN is the line ``tapover:card:v1`` with its newline. ECDSA or RSASSA-PKCS1-v1_5, SHA-256.
    """

    record: Base64
    """The journal event's exact bytes: JSON, whose `detail.record` has `text` and `document`."""
    signature: Base64
    key: Base64
    """DER SubjectPublicKeyInfo, as the site's directory vouches for it."""
    algorithm: CardAlgorithm
    slot: Slot
    """9A: after her PIN."""
    holder: HolderIdField
    initials: str
    terminal: TerminalIdField
    journal: JournalIdField
    sequence: Count


class Countersigned(Part):
    """What came of it. `signed` is null unless `result` is ``signed``."""

    result: CountersignResult
    signed: Signature | None


class Refusal(Part):
    """Why something was not done."""

    error: Literal[
        "malformed",
        "no-token",
        "not-from-a-page",
        "not-here",
        "wrong-method",
        "session-ended",
        "not-now",
        "too-much",
        "too-fast",
        "too-many",
    ]
    words: str
