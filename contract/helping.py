"""03:00 in the journals: what was given under a colleague's countersign, and how it was judged.

The rest of the words is `contract.help` and `contract.puk`, which a terminal loads when it helps.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from contract.ids import DigestField, GuidField, HolderIdField, TerminalIdField
from contract.wire import Count, Part, UnixMs


class HelpReason(StrEnum):
    """Why help was given, or not; the same word in the answer, the event and the log."""

    GRANTED = "granted"
    MALFORMED = "malformed"
    NOT_BELIEVED = "not-believed"
    """A signature does not hold, or the records do not belong together."""
    TERMINAL_UNKNOWN = "terminal-unknown"
    WRONG_WARD = "wrong-ward"
    NOT_PROVED = "not-proved"
    """No PIN stands behind the countersign."""
    COLLEAGUE_UNKNOWN = "colleague-unknown"
    """The countersigning card is not in the directory, or not in use."""
    NOT_LEAD = "not-lead"
    SAME_PERSON = "same-person"
    NOT_NOW = "not-now"
    """Of another time: over, too long ago, or not yet."""
    SPARE_UNKNOWN = "spare-unknown"
    SPARE_USED = "spare-used"
    PERSON_UNKNOWN = "person-unknown"
    NO_POSITION = "no-position"
    HAS_ONE = "has-one"
    """The person holds another spare already."""
    LATER = "later"
    """The spare was assigned to somebody else before."""
    OVERTAKEN = "overtaken"
    """It was accepted, and an earlier one came to light."""
    NO_PUK = "no-puk"
    DOUBT = "doubt"
    """Too many torn tries: the desk must look at the card."""
    ASKED_TWICE = "asked-twice"


class HelpGiven(Part):
    """Terminal's journal: somebody was helped here, under a colleague's countersign."""

    kind: Literal["help.given"] = "help.given"
    what: Literal["spare", "puk", "session"]
    subject: DigestField
    """Of the assignment's or request's envelope; of the terms, where nothing was sent."""
    record: Count
    """Sequence of the countersign."""
    guid: GuidField
    """The spare, or the card whose PIN is blocked."""
    holder: HolderIdField
    until_ms: UnixMs | None
    online: bool


class HelpJudged(Part):
    """Gateway's journal: to be reviewed; refusals and what was given offline first (`high`)."""

    kind: Literal["help.judged"] = "help.judged"
    what: Literal["spare", "puk"]
    priority: Literal["routine", "high"]
    subject: DigestField
    terminal: TerminalIdField
    reason: HelpReason
    guid: GuidField | None = None
    colleague: HolderIdField | None = None
    loser: DigestField | None = None
    """The assignment that had to give way."""
