"""What is asked of a card in one visit; runs in a worker thread that may be left behind.

A tap is three exchanges with a P-256 card: SELECT, the CHUID's first answer, GENERAL AUTHENTICATE
with 9E (DESIGN §4). Between the second and the third stands one question to the terminal: the GUID
goes up, the challenge comes down. The challenge is the digest of the journal's card record, whose
flush goes on while the card computes.

A PIN proof is the same with VERIFY before the question, and 9A (SP 800-73-4 part 2 §3.2.1, §3.2.4).
"""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from contract.events import Reason
from contract.ids import Guid
from contract.signing import Algorithm as KeyAlgorithm
from hardware.apdu import CardError, CardGone, CardHung, HardwareError, Sw
from hardware.piv import NotPivCard, Pin, PinBlocked, PinNotTaken, PivClient, WrongPin
from hardware.pivdata import Algorithm, KeySlot, UnusableCard
from hardware.readers import CardConnection

MonotonicNs = Callable[[], int]

CARD_ALGORITHM: Final = {
    KeyAlgorithm.P256: Algorithm.ECC_P256,
    KeyAlgorithm.RSA2048: Algorithm.RSA_2048,
}
"""How a card names the algorithms that the contract lets a card's key have."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """What the card is to sign, and with which kind of key."""

    algorithm: KeyAlgorithm
    digest: bytes


@dataclass(frozen=True, slots=True)
class CardAnswer:
    """What came back. ``signature`` is null when the terminal wanted none."""

    guid: Guid
    signature: bytes | None = field(repr=False)
    exchanges: int
    card_ns: int
    """Inside PC/SC: taking and resetting the card, and its exchanges."""


class Question:
    """One question from a worker thread to the terminal, with its answer."""

    def __init__(self, post: Callable[[Guid, Question], None], patience_s: float) -> None:
        """``post`` may be called in any thread; ``patience_s`` is the visit's deadline."""
        self._post = post
        self._patience_s = patience_s
        self._answer: concurrent.futures.Future[Challenge | None] = concurrent.futures.Future()

    def ask(self, guid: Guid) -> Challenge | None:
        """In the worker: the challenge for this card; None when nothing is to be signed.

        Raises CardHung when the terminal has long gone on without this visit.
        """
        self._post(guid, self)
        try:
            return self._answer.result(self._patience_s)
        except (TimeoutError, concurrent.futures.CancelledError):
            raise CardHung("the terminal gave no answer in time") from None

    def answer(self, challenge: Challenge | None) -> None:
        """In the loop: what to sign. Answering twice is answering once."""
        if not self._answer.done():
            self._answer.set_result(challenge)


def tap_work(
    question: Question, monotonic_ns: MonotonicNs
) -> Callable[[CardConnection], CardAnswer]:
    """The work of a tap, for ``Readers.with_card``. Raises HardwareError."""

    def work(connection: CardConnection) -> CardAnswer:
        piv = PivClient(connection, monotonic_ns)
        guid = _identify(piv)
        signature = _sign(piv, KeySlot.CARD_AUTHENTICATION, question.ask(guid))
        return CardAnswer(guid, signature, piv.exchanges, connection.connect_ns + piv.card_ns)

    return work


def pin_work(
    question: Question, pin: Pin, wanted: Guid, monotonic_ns: MonotonicNs
) -> Callable[[CardConnection], CardAnswer]:
    """The work of a PIN proof by the card ``wanted``. Raises AnotherCard or HardwareError.

    The connection is fresh from a reset and ends with one, so no verified PIN outlives the work.
    """

    def work(connection: CardConnection) -> CardAnswer:
        piv = PivClient(connection, monotonic_ns)
        guid = _identify(piv)
        if guid != wanted:
            raise AnotherCard("not the card that owes the PIN")
        piv.verify_pin(pin)
        signature = _sign(piv, KeySlot.AUTHENTICATION, question.ask(guid))
        return CardAnswer(guid, signature, piv.exchanges, connection.connect_ns + piv.card_ns)

    return work


class AnotherCard(HardwareError):
    """The card in the reader is not the one that was asked for its PIN: none was given to it."""


def _identify(piv: PivClient) -> Guid:
    piv.select()
    try:
        return Guid(piv.read_guid().hex())
    except CardError as error:
        if error.sw == Sw.NOT_FOUND:
            raise UnusableCard("a blank card") from error
        raise


def _sign(piv: PivClient, slot: KeySlot, challenge: Challenge | None) -> bytes | None:
    if challenge is None:
        return None
    return piv.sign(slot, CARD_ALGORITHM[challenge.algorithm], challenge.digest)


def reason_of(error: HardwareError) -> Reason:
    """Why a visit came to nothing, in the words of the log."""
    match error:
        case CardHung():
            return Reason.CARD_HUNG
        case CardGone():
            return Reason.CARD_TORN
        case NotPivCard() | UnusableCard():
            return Reason.CARD_FOREIGN
        case WrongPin():
            return Reason.PIN_WRONG
        case PinBlocked():
            return Reason.PIN_BLOCKED
        case PinNotTaken():
            return Reason.PIN_NOT_HERE
        case _:
            return Reason.CARD_ERROR
