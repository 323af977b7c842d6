"""The PIV Card Application: one command in, one answer out (SP 800-73-4 part 2 §3).

Whatever bytes come in, a well-formed answer goes out: a status word, after at most as much data
as was asked for. Short APDUs only, as on most cards; longer data comes in chains (CLA bit 10) and
leaves by GET RESPONSE.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from hardware.apdu import SHORT_LE, ApduError, CommandApdu, ResponseApdu, Sw
from hardware.tlv import TlvError
from hardware.virtual import objects
from hardware.virtual.card import Card
from hardware.virtual.keyuse import KeyUse, Signed
from hardware.virtual.names import (
    AID,
    PIN_REFERENCE,
    SHORTEST_AID,
    Access,
    Ins,
    Slot,
    Work,
)
from hardware.virtual.security import Refused, Security

MAX_CHAIN: Final = 4_096
"""Most data gathered from a chain: the largest object here is 3,072 bytes, and its tag list."""

MAX_SHORT: Final = 261
"""Longest short APDU: header, Lc, 255 bytes, Le."""

YUBICO_VERSION: Final = bytes((5, 2, 7))
"""Old enough that yubico-piv-tool expects a 3DES key and no metadata."""

_CHAIN: Final = 0x10
_BY_DF_NAME: Final = 0x04
_MORE: Final = 0x6100
_WRONG_LE: Final = 0x6C00
_CONTACTLESS: Final = {Ins.SELECT, Ins.GET_DATA, Ins.GENERAL_AUTHENTICATE, Ins.GET_RESPONSE}


@dataclass(frozen=True, slots=True)
class Quirks:
    """Ways in which a card departs from the standard, or from most other cards."""

    ungated_9a: bool = False
    """9A signs without a PIN."""
    pin_survives_reset: bool = False
    """A verified PIN outlives a reset; taking power away still ends it."""
    any_pin: bool = False
    """VERIFY answers 9000 to any PIN of the right form, and opens the card."""
    any_pin_in_words_only: bool = False
    """VERIFY answers 9000 to any PIN, though the card stays shut: somebody in the middle."""
    exact_le: bool = False
    """Asks again (6Cxx) when more was expected than there is, as T=0 cards do."""


AS_THE_STANDARD_SAYS: Final = Quirks()
"""No quirk."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the card sends, what it took to compute it, and the signature if one was made."""

    raw: bytes
    work: Work = Work.NONE
    signed: Signed | None = field(default=None, repr=False)


class Applet:
    """A powered PIV application. Not thread-safe: a card does one thing at a time."""

    def __init__(
        self, card: Card, access: Access = Access.CONTACT, quirks: Quirks = AS_THE_STANDARD_SAYS
    ) -> None:
        """Serve ``card`` over ``access``; no application is selected yet."""
        self._card = card
        self._access = access
        self._quirks = quirks
        self._security = Security(card)
        self._keys = KeyUse(card, self._security, ungated_9a=self._quirks.ungated_9a)
        self._handlers: dict[int, Callable[[CommandApdu], bytes]] = {
            Ins.GET_DATA: self._get_data,
            Ins.PUT_DATA: self._put_data,
            Ins.VERIFY: self._verify,
            Ins.CHANGE_REFERENCE_DATA: self._security.change_reference_data,
            Ins.RESET_RETRY_COUNTER: self._security.reset_retry_counter,
            Ins.GENERAL_AUTHENTICATE: self._general_authenticate,
            Ins.GENERATE_ASYMMETRIC_KEY_PAIR: self._keys.generate,
            Ins.IMPORT_KEY: self._keys.import_key,
            Ins.SET_MANAGEMENT_KEY: self._security.set_management_key,
            Ins.SET_PIN_RETRIES: self._security.set_pin_retries,
            Ins.RESET: lambda _: self._security.reset_card(),
            Ins.GET_VERSION: lambda _: YUBICO_VERSION,
            Ins.GET_SERIAL: lambda _: card.serial.to_bytes(4, "big"),
        }
        self.power_off()

    def power_off(self) -> None:
        """Take power away: everything volatile is gone."""
        self._selected = False
        self._chain: CommandApdu | None = None
        self._pending = b""
        self._security.forget()

    def reset(self) -> None:
        """Warm reset, as SCARD_RESET_CARD causes it."""
        keep_pin = self._quirks.pin_survives_reset and self._security.pin_verified
        self.power_off()
        if keep_pin:
            self._security.accept_any_pin()

    def transmit(self, apdu: bytes) -> bytes:
        """The answer to any bytes whatever: a CardChannel without a reader."""
        return self.process(apdu).raw

    def process(self, apdu: bytes) -> Answer:
        """The answer, with what it cost."""
        self._keys.begin()
        try:
            response = self._answer(_decode(apdu))
        except Refused as refusal:
            self._chain, self._pending = None, b""
            response = ResponseApdu(b"", refusal.sw)
        return Answer(response.encode(), self._keys.work, self._keys.signed)

    def _answer(self, command: CommandApdu) -> ResponseApdu:
        if command.ins == Ins.GET_RESPONSE and command.cla == 0:
            if not self._pending:
                raise Refused(Sw.CONDITIONS_NOT_SATISFIED)
            return self._first_part(self._pending, command.le)
        self._pending = b""
        whole = self._gather(command)
        if whole is None:
            return ResponseApdu(b"", Sw.OK)
        data = self._handler(whole)(whole)
        return self._first_part(data, command.le)

    def _gather(self, command: CommandApdu) -> CommandApdu | None:
        """Collect a chain; None until its last link is here."""
        so_far, self._chain = self._chain, None
        if so_far is not None and (so_far.ins, so_far.p1, so_far.p2) == (
            command.ins,
            command.p1,
            command.p2,
        ):
            command = replace(command, data=so_far.data + command.data)
        if len(command.data) > MAX_CHAIN:
            raise Refused(Sw.WRONG_LENGTH)
        if command.cla & _CHAIN:
            self._chain = command
            return None
        return command

    def _handler(self, command: CommandApdu) -> Callable[[CommandApdu], bytes]:
        if command.ins == Ins.SELECT:
            return self._select
        handler = self._handlers.get(command.ins)
        if handler is None or not self._selected:
            raise Refused(Sw.INS_NOT_SUPPORTED)
        if self._access is Access.CONTACTLESS_STRICT and command.ins not in _CONTACTLESS:
            raise Refused(Sw.SECURITY_STATUS_NOT_SATISFIED)
        return handler

    def _first_part(self, data: bytes, le: int | None) -> ResponseApdu:
        """As much as was asked for now; the rest waits for GET RESPONSE."""
        if self._quirks.exact_le and le is not None and len(data) < le < SHORT_LE and data:
            self._pending = data
            return ResponseApdu(b"", _WRONG_LE | len(data))
        room = le or SHORT_LE  # yubico-piv-tool sends no Le and expects the data all the same
        self._pending = data[room:]
        more = min(len(self._pending), 0xFF)
        return ResponseApdu(data[:room], _MORE | more if more else Sw.OK)

    def _select(self, command: CommandApdu) -> bytes:
        """SELECT (§3.1.1) by full or right-truncated AID."""
        if command.p1 != _BY_DF_NAME or command.p2:
            raise Refused(Sw.INCORRECT_P1P2)
        if len(command.data) < SHORTEST_AID or not AID.startswith(command.data):
            raise Refused(Sw.NOT_FOUND)
        self._selected = True
        return objects.APPLICATION_TEMPLATE

    def _get_data(self, command: CommandApdu) -> bytes:
        return objects.get_data(
            self._card, command, self._access, pin_verified=self._security.pin_verified
        )

    def _put_data(self, command: CommandApdu) -> bytes:
        self._security.require_management()
        return objects.put_data(self._card, command)

    def _verify(self, command: CommandApdu) -> bytes:
        lying = self._quirks.any_pin or self._quirks.any_pin_in_words_only
        if lying and command.p2 == PIN_REFERENCE and command.data:
            if self._quirks.any_pin:
                self._security.accept_any_pin()
            return b""
        return self._security.verify(command)

    def _general_authenticate(self, command: CommandApdu) -> bytes:
        strict = self._access is Access.CONTACTLESS_STRICT
        if strict and command.p2 != Slot.CARD_AUTHENTICATION:
            raise Refused(Sw.SECURITY_STATUS_NOT_SATISFIED)
        try:
            return self._keys.general_authenticate(command)
        except TlvError:
            raise Refused(Sw.INCORRECT_DATA) from None


def _decode(apdu: bytes) -> CommandApdu:
    if len(apdu) > MAX_SHORT:
        raise Refused(Sw.WRONG_LENGTH)
    try:
        command = CommandApdu.decode(apdu)
    except ApduError:
        raise Refused(Sw.WRONG_LENGTH) from None
    if command.le is not None and command.le > SHORT_LE:
        raise Refused(Sw.WRONG_LENGTH)
    if command.cla & ~_CHAIN:
        raise Refused(Sw.CLA_NOT_SUPPORTED)
    return command
