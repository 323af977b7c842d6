"""What is asked of a card in one visit; runs in a worker thread that may be left behind.

A tap is three exchanges with a P-256 card: SELECT, the CHUID's first answer, GENERAL AUTHENTICATE
with 9E (DESIGN §4). Between the second and the third stands one question to the terminal: the GUID
goes up, the challenge comes down. The challenge is the digest of the journal's card record, whose
flush goes on while the card computes.

A PIN proof is the same with VERIFY before the question, and 9A (SP 800-73-4 part 2 §3.2.1, §3.2.4).
A GUID is easily copied, so no card is given a PIN or PUK before it has signed, with 9E and under
the key that the site vouches for, that it is the one (`meet`). A card without 9E cannot: it shows
at least the certificate of its 9A (`shown`), and is given its own PIN and nothing else. Nor is a
PIN given to a card that would be spent by a wrong one, unless its holder was told so before; and
where somebody's work is open, whoever stands there leaves it `OPEN_SCREEN_KEEPS` tries at least.
"""

from __future__ import annotations

import concurrent.futures
import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from contract.directory import Entitlement, Slot
from contract.events import Reason
from contract.ids import Guid
from contract.signing import Algorithm as KeyAlgorithm
from contract.signing import SignatureRefused
from firmware_py.card.shown import shows_key
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

OPEN_SCREEN_KEEPS: Final = 2
"""Tries that stay to a card whose PIN is asked for at an open screen: by whom, who knows."""

_HERE: Final = b"tapover:here:v1\n"
"""Before what 9E signs to be given a PIN. No record of the journal is signed under it."""


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
    question: Question,
    pin: Pin,
    owner: Entitlement,
    monotonic_ns: MonotonicNs,
    *,
    warned: bool = False,
    keeps: int = 1,
) -> Callable[[CardConnection], CardAnswer]:
    """The work of a PIN proof by the card of ``owner``, which keeps so many tries.

    Raises AnotherCard, CopiedCard, FewTries (unless ``warned``) or HardwareError. The connection is
    fresh from a reset and ends with one, so no verified PIN outlives the work.
    """

    def work(connection: CardConnection) -> CardAnswer:
        piv = PivClient(connection, monotonic_ns)
        guid = know(piv, owner)
        if not warned:
            keep_tries(piv, keeps)
        piv.verify_pin(pin)
        signature = prove_with_9a(piv, question.ask(guid))
        return CardAnswer(guid, signature, piv.exchanges, connection.connect_ns + piv.card_ns)

    return work


class AnotherCard(HardwareError):
    """The card in the reader is not the one that was asked for its PIN: none was given to it."""


class CopiedCard(HardwareError):
    """The card shows a GUID whose key it does not have: no PIN was given to it."""


class FewTries(HardwareError):
    """A wrong PIN would leave too few tries, or none: it was not given to the card."""

    def __init__(self, left: int) -> None:
        self.left = left
        super().__init__(f"tries left: {left}")


def know(piv: PivClient, owner: Entitlement) -> Guid:
    """Begin with the card of ``owner``, as surely as it can show that before its PIN.

    Raises AnotherCard, CopiedCard or HardwareError.
    """
    return recognise(piv, owner) if owner.by_pin_alone else meet(piv, owner)


def meet(piv: PivClient, owner: Entitlement) -> Guid:
    """Begin with the very card of ``owner``; only then is it given a secret.

    Raises AnotherCard, CopiedCard or HardwareError.
    """
    guid = _begin_with(piv, owner)
    credential = owner.credential(Slot.CARD_AUTHENTICATION)
    if credential is None:
        raise CopiedCard("a card without a key of its own")
    message = _HERE + secrets.token_bytes(32)
    challenge = Challenge(credential.algorithm, hashlib.sha256(message).digest())
    signature = _sign(piv, KeySlot.CARD_AUTHENTICATION, challenge)
    try:
        credential.verify_key().verify(message, signature or b"")
    except SignatureRefused as error:
        raise CopiedCard("not the key of the card that it says it is") from error
    return guid


def recognise(piv: PivClient, owner: Entitlement) -> Guid:
    """Begin with a card of ``owner`` that can sign nothing before VERIFY: by what it shows.

    A copy of all of that passes. Raises AnotherCard, CopiedCard or HardwareError.
    """
    guid = _begin_with(piv, owner)
    credential = owner.credential(Slot.PIV_AUTHENTICATION)
    if credential is None or not shows_key(piv, credential):
        raise CopiedCard("not the certificate of the card that it says it is")
    return guid


def _begin_with(piv: PivClient, owner: Entitlement) -> Guid:
    guid = _identify(piv)
    if guid != owner.guid:
        raise AnotherCard("not the card that owes the PIN")
    return guid


def keep_tries(piv: PivClient, kept: int) -> None:
    """That so many stay after a wrong PIN. A card that does not say is given the PIN.

    Raises FewTries or PinBlocked.
    """
    try:
        left = piv.pin_attempts()
    except CardError:
        return
    if left == 0:
        raise PinBlocked(Sw.PIN_BLOCKED, "VERIFY")
    if left is not None and left <= kept:
        raise FewTries(left)


def prove_with_9a(piv: PivClient, challenge: Challenge | None) -> bytes | None:
    """9A's signature, after VERIFY; null when the terminal wanted none."""
    return _sign(piv, KeySlot.AUTHENTICATION, challenge)


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
        case CopiedCard():
            return Reason.CARD_KEY_WRONG
        case WrongPin():
            return Reason.PIN_WRONG
        case PinBlocked():
            return Reason.PIN_BLOCKED
        case PinNotTaken():
            return Reason.PIN_NOT_HERE
        case _:
            return Reason.CARD_ERROR
