"""A reader of a real pcscd, and putting cards into it: the card's side of vsmartcard's vpcd.

* pcscd polls: a card is seen up to 0.4 s after it was put in, and a swap takes two polls.
* A card that leaves in the middle of a command makes pcscd report success with an *empty* answer;
  the call after it says NOT_TRANSACTED, later ones REMOVED_CARD.
* A card stays in its reader while pcscd restarts, and is there when it comes back.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from threading import Thread
from types import TracebackType
from typing import Final, Self

from hardware.apdu import CardTorn, ReaderError
from hardware.virtual.behaviour import Behaviour
from hardware.virtual.card import Card
from hardware.virtual.line import Control, Line
from hardware.virtual.pace import Pace, RealPace
from hardware.virtual.powered import PoweredCard

_RETRY_NS: Final = 50_000_000
_JOIN_S: Final = 5.0  # a card that is taken away leaves its thread at once


class VirtualReader:
    """One virtual reader, by the TCP port its vpcd listens on. Holds one card at a time.

    The card answers in a thread of its own, so that nobody's event loop disturbs its timing. Cards
    are put in and taken out by one thread at a time.
    """

    def __init__(self, port: int, pace: Pace | None = None) -> None:
        """Nothing is connected before a card is put in."""
        self.port = port
        self._pace = pace or RealPace()
        self._visit: PoweredCard | None = None
        self._thread: Thread | None = None
        self._line: Line | None = None
        self.emptied_ns = 0

    def __enter__(self) -> Self:
        """An empty reader."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take out what is in it."""
        self.remove()

    @property
    def occupied(self) -> bool:
        """Whether a card is in the reader (a torn one has left)."""
        return self._visit is not None and not self._visit.gone.is_set()

    @property
    def holds(self) -> str | None:
        """The file of the card in the reader, "" for one without; None when empty."""
        if self._visit is None or not self.occupied:
            return None
        return str(self._visit.card.path or "")

    def insert(self, card: Card, behaviour: Behaviour | None = None) -> PoweredCard:
        """Put ``card`` in; it stays until :meth:`remove`, or until a fault tears it out.

        Returns once the card is in the field; that is after pcscd has seen the last one leave, up
        to 0.9 s when there was one just now. Raises ReaderError when nothing listens or a card is
        in it, CardFileError when the card is in another reader.
        """
        if self.occupied:
            raise ReaderError(f"a card is in reader {self.port} already")
        self.remove()
        self.await_noticed()
        visit = PoweredCard(card, behaviour or Behaviour(), self._pace)
        visit.begin()
        try:
            self._line = Line(self.port)
        except OSError as error:
            visit.close()
            raise ReaderError(f"no virtual reader on port {self.port}: {error.strerror}") from error
        self._visit = visit
        self._thread = Thread(
            target=self._stay, args=(visit,), name=f"card-{self.port}", daemon=True
        )
        self._thread.start()
        return visit

    def remove(self) -> None:
        """Take the card out, whatever it is doing. Nothing happens to an empty reader."""
        visit, thread = self._visit, self._thread
        if visit is None or thread is None:
            return
        visit.leave()
        line = self._line
        if line is not None and thread.is_alive():
            line.interrupt()
        thread.join(_JOIN_S)
        if thread.is_alive():
            raise ReaderError(f"the card in reader {self.port} does not come out")
        self._visit = self._thread = None

    def await_noticed(self) -> None:
        """Wait until pcscd has seen that the last card left; at most until its next poll."""
        if self._line is not None:
            self._line.await_noticed()

    def swap(self, card: Card, behaviour: Behaviour | None = None) -> PoweredCard:
        """One card out, another in, as fast as pcscd can see that they are two."""
        self.remove()
        return self.insert(card, behaviour)

    def tap(self, card: Card, hold_s: float, behaviour: Behaviour | None = None) -> PoweredCard:
        """Hold the card to the reader for ``hold_s`` seconds. Returns after it has left."""
        visit = self.insert(card, behaviour)
        self._pace.wait(visit.inserted_ns + round(hold_s * 1e9), visit.gone)
        self.remove()
        return visit

    def _stay(self, visit: PoweredCard) -> None:
        """Thread: answer until the card leaves; find the reader again when pcscd restarts."""
        with closing(visit):
            while not visit.gone.is_set():
                # Kept before `gone` is looked at again, so that `remove` interrupts the newest.
                self._line = line = self._line or self._again(visit)
                if line is None:
                    continue
                _serve(line, visit)
                line.leave()
                visit.power_off()
                if not visit.gone.is_set():
                    self._line = None
        self.emptied_ns = self._pace.now_ns()

    def _again(self, visit: PoweredCard) -> Line | None:
        try:
            return Line(self.port)
        except OSError:
            # pcscd is away. It will listen again, or the card will be taken out.
            self._pace.wait(self._pace.now_ns() + _RETRY_NS, visit.gone)
            return None


def _serve(line: Line, visit: PoweredCard) -> None:
    """Answer one pcscd until it or the card goes away."""
    try:
        while not visit.gone.is_set() and (body := line.receive()) is not None:
            answer = _control(body[0], visit) if len(body) == 1 else visit.transmit(body)
            if answer:
                line.send(answer)
    except (CardTorn, OSError):
        return  # to pcscd both are the same: the card is not there any more


def _control(code: int, visit: PoweredCard) -> bytes:
    match code:
        case Control.POWER_ON:
            visit.power_on()
        case Control.POWER_OFF:
            visit.power_off()
        case Control.RESET:
            visit.reset()
        case Control.ATR:
            return visit.behaviour.atr
    return b""


class Rotation:
    """Several readers used in turn, the one that has been empty longest first.

    Insert and remove back to back costs 0.8 s on one virtual reader: pcscd has to see it empty.
    """

    def __init__(self, readers: Sequence[VirtualReader]) -> None:
        """Use ``readers``, at least one."""
        self._readers = tuple(readers)

    def free(self) -> VirtualReader:
        """The next empty reader. Raises ReaderError when every one holds a card."""
        empty = [reader for reader in self._readers if not reader.occupied]
        if not empty:
            raise ReaderError("every reader of the rotation holds a card")
        return min(empty, key=lambda reader: reader.emptied_ns)
