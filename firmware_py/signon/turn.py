"""Whose turn the glass is: the newest tap's, for as long as a passing word stands.

Two readers may have something to say at once: a card is held to one, while another holds a mute
thing, or a card that is only now given up. Whoever tapped last reads the glass, and would take a
stranger's refusal for her own: tap again, and so tap herself out. So during her turn a refusal
that is not about her card stays in the log alone (DESIGN §5). The turn begins when her card is
seen, and anew when what came of it acts; a later tap takes it, a mute thing does not.
"""

from __future__ import annotations

from typing import Final, Protocol

from hardware.readers import ReaderName

NOTICE_S: Final = 4.0
"""How long a passing word stands, unless somebody touches the screen; and so how long a turn is."""


class Visitor(Protocol):
    """What came to a reader: a card that is tapped, or a mute thing."""

    @property
    def reader(self) -> ReaderName:
        """Where."""
        ...

    @property
    def seen_ns(self) -> int:
        """When."""
        ...


class Turn:
    """Belongs to the consumer. Times are this boot's own, in milliseconds."""

    def __init__(self) -> None:
        self._newest: Visitor | None = None
        self._until_ms = 0
        self._asked = False

    def take(self, visitor: Visitor, now_ms: int, *, asked: bool = False) -> None:
        """A card was tapped, or what came of it acts; not where another was tapped since.

        ``asked``: its holder owes something more, and may next put it in another reader.
        """
        if self._newest is None or visitor.seen_ns >= self._newest.seen_ns:
            self._newest = visitor
            self._until_ms = now_ms + round(NOTICE_S * 1000)
            self._asked = asked

    def is_anothers(self, visitor: Visitor, now_ms: int) -> bool:
        """Whether the glass is for somebody else than ``visitor`` now.

        What came after the newest tap, to the same reader, has taken its place there.
        """
        newest = self._newest
        if newest is None or now_ms >= self._until_ms:
            return False
        later = visitor.seen_ns >= newest.seen_ns
        return not (later and (self._asked or visitor.reader == newest.reader))
