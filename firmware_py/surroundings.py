"""What happens around the people at a screen: readers, card service, link, directory, journal."""

from __future__ import annotations

from collections.abc import Callable

from contract.directory import Status
from contract.events import TrustChanged
from contract.tap import DirectoryVersion
from firmware_py import items
from firmware_py.inside import Inside
from firmware_py.items import Item
from firmware_py.kiosk.scenery import Scenery
from firmware_py.pacing import Pacing
from firmware_py.sessions.machine import Away, Back, Lost
from firmware_py.site.link import LinkChanged
from firmware_py.trust.heard import Asked, DirectoryHeard, HeartbeatHeard
from hardware import readers
from hardware.sensor import NobodySeen, SensorBlind, SomebodySeen


class Around:
    """Belongs to the consumer. `on_news` says that directory or readers have changed."""

    def __init__(
        self, inside: Inside, scenery: Scenery, pacing: Pacing, on_news: Callable[[], None]
    ) -> None:
        self.started = False
        """Whether anything is known of the readers yet."""
        self._inside = inside
        self._custody = inside.parts.custody
        self._presence = inside.presence
        self._scenery = scenery
        self._pacing = pacing
        self._on_news = on_news

    def takes(self, item: Item) -> bool:
        """Whether the item was for us; then it is dealt with. Raises JournalFailed."""
        match item:
            case HeartbeatHeard():
                self._scenery.heard_ns = item.heard_ns
                self._custody.hear_heartbeat(item)
            case DirectoryHeard():
                self._custody.hear_change(item)
            case items.DirectoryChanged():
                self._directory_changed(item)
            case LinkChanged() | items.EnrolmentChanged():
                self._scenery.hear(item)
            case Asked():
                self._custody.asked(item)
            case items.JournalDown(why):
                self._inside.outage.lost(why)
            case items.JournalBack():
                self._inside.outage.over()
            case items.SurroundingsChanged():
                self.started = self.started or self._presence.service_up
                self._pacing.look_again()
            case NobodySeen():
                self._inside.happen(Away())
            case SomebodySeen() | SensorBlind():
                self._inside.happen(Back())
            case _:
                return self._takes_readers(item)
        return True

    def _takes_readers(self, item: Item) -> bool:
        outage = self._inside.outage
        match item:
            case readers.CardMute():
                self._presence.mute(item)
                if not outage.down:
                    self._inside.signon.outcomes.mute(item)
            case readers.CardRemoved(reader):
                self._presence.removed(reader)
                self._pacing.card_went(reader)
            case readers.ReaderAttached() | readers.ReaderDetached():
                outage.note(self._presence.reader(item))
                self._on_news()
                self.started = True
            case readers.ServiceLost() | readers.ServiceRestored():
                self._presence.service(item)
                self.started = self.started or isinstance(item, readers.ServiceLost)
            case _:
                return False
        return True

    def _directory_changed(self, item: items.DirectoryChanged) -> None:
        self._scenery.forget_people()
        self._on_news()
        self._inside.outage.note(_trust_changed(item))
        if item.change is not None:
            for guid in item.change.lost:
                self._inside.happen(Lost(guid))
        shown = self._inside.stage.newest.shown
        if shown is None or shown.guid is None:
            return
        entitlement = self._custody.entitlement(shown.guid)
        gone = entitlement is None or entitlement.status is Status.LOST
        # A spare may be another's by now: of two assignments the earlier stands.
        another = entitlement is not None and shown.keeps and entitlement.holder != shown.holder
        if (gone and shown.keeps and item.change is None) or another:
            self._inside.happen(Lost(shown.guid))


def _trust_changed(item: items.DirectoryChanged) -> TrustChanged:
    assert item.held.head is not None  # noqa: S101 - what came to be held was made by a change
    return TrustChanged(
        directory=DirectoryVersion.of(item.held.version),
        head=item.held.head,
        source="change" if item.change else "snapshot",
    )
