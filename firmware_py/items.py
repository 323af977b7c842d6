"""What the terminal's one queue carries: everything that happens to it, from whatever thread.

Reader events and the kiosk's commands are items as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from contract.ids import Guid
from firmware_py.card.tap import CardAnswer, Question
from firmware_py.glass.view import Enrolling
from firmware_py.kiosk.commands import Command
from firmware_py.site.link import SiteMessage
from firmware_py.trust.statements import Change, Held
from hardware.apdu import HardwareError
from hardware.readers import ReaderEvent, ReaderName
from hardware.sensor import SensorEvent


@dataclass(frozen=True, slots=True)
class CardAsks:
    """A visit has read its GUID, and waits for what to sign."""

    visit: int
    guid: Guid
    question: Question


@dataclass(frozen=True, slots=True)
class VisitEnded:
    """A visit came to an answer or an error; its worker is done or left behind."""

    visit: int
    end: CardAnswer | HardwareError


@dataclass(frozen=True, slots=True)
class Durable:
    """The oldest commit under way is on disk."""


@dataclass(frozen=True, slots=True)
class JournalDown:
    """The journal refused; nothing after what was durable counts."""

    why: str


@dataclass(frozen=True, slots=True)
class JournalBack:
    """The journal was opened anew."""


@dataclass(frozen=True, slots=True)
class JournalForked:
    """The site knows another history of this journal: another must be begun."""


@dataclass(frozen=True, slots=True)
class DirectoryChanged:
    """Another version is held; ``change`` is null after a snapshot."""

    held: Held
    change: Change | None


@dataclass(frozen=True, slots=True)
class SurroundingsChanged:
    """Link, clock or freshness may have changed."""


@dataclass(frozen=True, slots=True)
class EnrolmentChanged:
    """This terminal waits for an operator to let it in again, or (null) not any more."""

    enrolling: Enrolling | None


@dataclass(frozen=True, slots=True)
class TimePassed:
    """The session machine's next deadline has come."""


@dataclass(frozen=True, slots=True)
class NoticeOver:
    """A passing notice has stood long enough."""


@dataclass(frozen=True, slots=True)
class CardRests:
    """A card has lain in a reader for the ward's limit."""

    reader: ReaderName
    arrived_ns: int


@dataclass(frozen=True, slots=True)
class LeftOver:
    """A card that was announced as left has lain there for the ward's cap."""

    reader: ReaderName
    arrived_ns: int


@dataclass(frozen=True, slots=True)
class TimingDue:
    """The kiosk has not said in time that it received a tap's view."""

    record: int


@dataclass(frozen=True, slots=True)
class HelpNews:
    """Something that helping waited for: `about` says what (`firmware_py.help`)."""

    about: object


@dataclass(frozen=True, slots=True)
class RoamingNews:
    """Something that roaming put off: `about` says what (`firmware_py.roaming`)."""

    about: object


@dataclass(frozen=True, slots=True)
class WorkspaceBroke:
    """What was asked of the workspace went wrong after the asking."""

    why: str


@dataclass(frozen=True, slots=True)
class PagesChanged:
    """A page has come to the kiosk, or has left it."""


@dataclass(frozen=True, slots=True)
class EmergencyNews:
    """What break-glass or downtime waited for has come: ``then`` goes on with it."""

    then: Callable[[], None]


@dataclass(frozen=True, slots=True)
class AppAsked:
    """An application on this terminal asks by the local API; `about` says what, in its room."""

    about: object


Item = (
    HelpNews
    | AppAsked
    | EmergencyNews
    | RoamingNews
    | WorkspaceBroke
    | PagesChanged
    | ReaderEvent
    | Command
    | SiteMessage
    | CardAsks
    | VisitEnded
    | Durable
    | JournalDown
    | JournalBack
    | JournalForked
    | DirectoryChanged
    | SurroundingsChanged
    | EnrolmentChanged
    | TimePassed
    | NoticeOver
    | CardRests
    | LeftOver
    | SensorEvent
    | TimingDue
)
