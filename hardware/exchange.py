"""One command to a card and its whole answer (ISO/IEC 7816-4 §5.3), in small steps composed once.

* Short APDUs only: every card and reader takes them.
* A command longer than 255 bytes goes as a chain (CLA bit 10); each link must end 9000.
* 61xx is fetched by GET RESPONSE, 6Cxx is asked again with the length the card named.
* Exchanges and the nanoseconds inside them are counted where they happen, in :class:`Wire`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Protocol

from hardware.apdu import (
    SHORT_DATA,
    SHORT_LE,
    SW1_MORE,
    CardChannel,
    CardMisbehaved,
    CommandApdu,
    ResponseApdu,
)

MAX_RESPONSE: Final = 16_384
"""Most bytes gathered from one command: as much as the largest object that tlv reads."""

MAX_CONTINUATIONS: Final = 70
"""Most GET RESPONSE in a row: MAX_RESPONSE in full 256-byte answers, and a little."""

_CLA_CHAIN: Final = 0x10
_INS_GET_RESPONSE: Final = 0xC0
_SW1_WRONG_LE: Final = 0x6C


class Processor(Protocol):
    """One step of an exchange: takes a command, returns the answer of the step below."""

    def send(self, command: CommandApdu) -> ResponseApdu:
        """Answer with any status word. Raises CardTransportError or CardMisbehaved."""
        ...


class Wire:
    """Lowest step: one command, one answer, counted and timed."""

    def __init__(self, channel: CardChannel, monotonic_ns: Callable[[], int]) -> None:
        """Use ``channel`` and time it with ``monotonic_ns``."""
        self._channel = channel
        self._monotonic_ns = monotonic_ns
        self.exchanges = 0
        self.card_ns = 0

    def send(self, command: CommandApdu) -> ResponseApdu:
        """Count the exchange also when it fails."""
        raw = command.encode()
        begin = self._monotonic_ns()
        try:
            answer = self._channel.transmit(raw)
        finally:
            self.exchanges += 1
            self.card_ns += self._monotonic_ns() - begin
        return ResponseApdu.decode(answer)


class Chaining:
    """Splits a command that is too long for a short APDU (ISO/IEC 7816-4 §5.3.3)."""

    def __init__(self, below: Processor) -> None:
        """Send the links through ``below``."""
        self._below = below

    def send(self, command: CommandApdu) -> ResponseApdu:
        """Return the answer to the last link, or the first refusal."""
        data = command.data
        while len(data) > SHORT_DATA:
            link = replace(command, cla=command.cla | _CLA_CHAIN, data=data[:SHORT_DATA], le=None)
            answer = self._below.send(link)
            if not answer.ok:
                return answer
            data = data[SHORT_DATA:]
        return self._below.send(replace(command, data=data))


class WrongLength:
    """Asks again with the expected length that the card named (6Cxx)."""

    def __init__(self, below: Processor) -> None:
        """Send through ``below``."""
        self._below = below

    def send(self, command: CommandApdu) -> ResponseApdu:
        """Repeat once; a card that says 6Cxx twice is answered for by its status word."""
        answer = self._below.send(command)
        if answer.sw >> 8 != _SW1_WRONG_LE:
            return answer
        return self._below.send(replace(command, le=answer.sw & 0xFF or SHORT_LE))


class GetResponse:
    """Fetches the rest of an answer (61xx), as far as it is wanted."""

    def __init__(self, below: Processor, enough: int = MAX_RESPONSE) -> None:
        """Send through ``below``; stop once ``enough`` bytes are there."""
        self._below = below
        self._enough = enough

    def send(self, command: CommandApdu) -> ResponseApdu:
        """Return the answer, with 61xx when more was left unread. Raises CardMisbehaved."""
        answer = self._below.send(command)
        gathered = bytearray(answer.data)
        rounds = 0
        while answer.sw >> 8 == SW1_MORE and len(gathered) < self._enough:
            rounds += 1
            if rounds > MAX_CONTINUATIONS:
                raise CardMisbehaved("answer in too many pieces")
            answer = self._below.send(
                CommandApdu(0x00, _INS_GET_RESPONSE, le=answer.sw & 0xFF or SHORT_LE)
            )
            gathered += answer.data
        return ResponseApdu(bytes(gathered), answer.sw)


@dataclass(frozen=True, slots=True)
class Exchanger:
    """The composed steps to one card, and what they have cost so far."""

    wire: Wire

    def send(self, command: CommandApdu) -> ResponseApdu:
        """The whole answer. Raises CardMisbehaved for one over MAX_RESPONSE."""
        answer = self.send_until(command, MAX_RESPONSE)
        if answer.sw >> 8 == SW1_MORE:
            raise CardMisbehaved("answer over the cap")
        return answer

    def send_until(self, command: CommandApdu, enough: int) -> ResponseApdu:
        """The answer as far as its first ``enough`` bytes: 9000 or 61xx when the card agreed.

        What is left unread the card drops at the next command.
        """
        return Chaining(GetResponse(WrongLength(self.wire), enough)).send(command)


def exchanger(channel: CardChannel, monotonic_ns: Callable[[], int]) -> Exchanger:
    """The steps over ``channel``: chaining, over GET RESPONSE, over 6Cxx, over the wire."""
    return Exchanger(Wire(channel, monotonic_ns))
