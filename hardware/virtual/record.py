"""The card's own record of what was asked of it: exchanges with their times, and signatures.

A driver counts and times with this, never with the numbers of the program under test. It holds
lengths only, never the data of a command, which may be a PIN.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from threading import Condition
from typing import Any, Final

MAX_KEPT: Final = 200_000
"""Most entries kept of each kind: a day's benchmark of 50,000 taps at four exchanges; ~50 MB."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One command and its answer. Times are monotonic nanoseconds of this machine.

    ``visit`` counts insertions of the card and ``number`` the exchanges within one, from 1.
    ``sw`` is None where no answer left the card (torn or hung).
    """

    visit: int
    number: int
    ins: int
    p1: int
    p2: int
    command_bytes: int
    answer_bytes: int
    sw: int | None
    started_ns: int
    ended_ns: int
    computed_ns: int
    slept_ns: int
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Signature:
    """A private key was used to sign: slot, what was signed, the result, and when (monotonic ns).

    ``prepared`` is the digest for P-256 and the padded block for RSA. ``exchange`` is the number
    within the ``visit``; whether the answer left the card is in that exchange's ``sw``.
    """

    visit: int
    exchange: int
    slot: int
    algorithm: int
    prepared: bytes
    signature: bytes
    at_ns: int


class CardRecord:
    """What a card has seen since it was loaded, oldest first. Safe to use from any thread."""

    def __init__(self) -> None:
        """Nothing seen yet."""
        self._exchanges: deque[Exchange] = deque(maxlen=MAX_KEPT)
        self._signatures: deque[Signature] = deque(maxlen=MAX_KEPT)
        self._visits = 0
        self._news = Condition()

    def next_visit(self) -> int:
        """The card is put into a reader once more: the number of this visit, from 1."""
        with self._news:
            self._visits += 1
            self._news.notify_all()
            return self._visits

    def add(self, exchange: Exchange, signatures: Iterable[Signature] = ()) -> None:
        """Append one exchange and the signatures made in it."""
        with self._news:
            self._exchanges.append(exchange)
            self._signatures.extend(signatures)
            self._news.notify_all()

    def tell(self) -> None:
        """Something about the card has changed that :meth:`wait_for` may be waiting for."""
        with self._news:
            self._news.notify_all()

    def wait_for(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until ``condition`` holds, looked at after every exchange; whether it does."""
        with self._news:
            return self._news.wait_for(condition, timeout_s)

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        """All exchanges."""
        with self._news:
            return tuple(self._exchanges)

    @property
    def signatures(self) -> tuple[Signature, ...]:
        """All signatures."""
        with self._news:
            return tuple(self._signatures)

    @property
    def card_ns(self) -> int:
        """Nanoseconds between the arrival of each command and the departure of its answer."""
        return sum(one.ended_ns - one.started_ns for one in self.exchanges)

    def clear(self) -> None:
        """Forget everything so far."""
        with self._news:
            self._exchanges.clear()
            self._signatures.clear()

    def to_json(self, visit: int | None = None) -> dict[str, Any]:
        """Exchanges, signatures (bytes in hexadecimal), card time; of one ``visit`` or all."""
        exchanges = [one for one in self.exchanges if visit in (None, one.visit)]
        return {
            "exchanges": [asdict(one) for one in exchanges],
            "signatures": [
                asdict(one) | {"prepared": one.prepared.hex(), "signature": one.signature.hex()}
                for one in self.signatures
                if visit in (None, one.visit)
            ],
            "card_ns": sum(one.ended_ns - one.started_ns for one in exchanges),
        }
