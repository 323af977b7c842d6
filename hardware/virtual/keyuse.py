"""Commands that make or use keys (SP 800-73-4 part 2 §3.2.4, §3.3.2; Yubico's IMPORT KEY)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from hardware.apdu import CommandApdu, Sw
from hardware.tlv import Tlv, TlvError
from hardware.virtual.card import Card
from hardware.virtual.keys import P256_BYTES, CardKey, KeyRefused, public_template
from hardware.virtual.names import (
    MANAGEMENT_REFERENCE,
    STANDARD_PIN_POLICY,
    Algorithm,
    PinPolicy,
    Slot,
    Work,
)
from hardware.virtual.security import (
    CHALLENGE,
    EXPONENTIATION,
    RESPONSE,
    TEMPLATE,
    Refused,
    Security,
)

_CONTROL: Final = 0xAC
_ALGORITHM: Final = 0x80
_PIN_POLICY: Final = 0xAA
_PRIME_P: Final = 0x01
_PRIME_Q: Final = 0x02
_SCALAR: Final = 0x06


@dataclass(frozen=True, slots=True)
class Signed:
    """One signature: the slot, what was signed, the result."""

    slot: Slot
    algorithm: Algorithm
    prepared: bytes = field(repr=False)
    signature: bytes = field(repr=False)


class KeyUse:
    """The card's keys at work. ``work`` and ``signed`` tell of the command since :meth:`begin`."""

    def __init__(self, card: Card, security: Security, *, ungated_9a: bool = False) -> None:
        """Use the keys of ``card`` as far as ``security`` allows."""
        self._card = card
        self._security = security
        self._ungated_9a = ungated_9a
        self.begin()

    def begin(self) -> None:
        """A new command."""
        self.work = Work.NONE
        self.signed: Signed | None = None

    def general_authenticate(self, command: CommandApdu) -> bytes:
        """Sign (81 beside an empty 82), agree on a key (85), or prove the management key.

        Raises Refused, and TlvError for data that is no template.
        """
        template = Tlv.parse(command.data, minimal=False)
        if template.tag != TEMPLATE:
            raise Refused(Sw.INCORRECT_DATA)
        if command.p2 == MANAGEMENT_REFERENCE:
            return self._security.authenticate_management(command.p1, template)
        slot, key = self._key(command)
        if not self._security.may_use(self._policy(slot, key)):
            raise Refused(Sw.SECURITY_STATUS_NOT_SATISFIED)
        parts = {part.tag: part.value for part in template.children(minimal=False)}
        if parts.get(RESPONSE) != b"":
            raise Refused(Sw.INCORRECT_DATA)
        try:
            result = self._compute(slot, key, parts)
        except KeyRefused:
            raise Refused(Sw.INCORRECT_DATA) from None
        self.work = key.work
        self._security.pin_fresh = False
        return Tlv(TEMPLATE, Tlv(RESPONSE, result))

    def generate(self, command: CommandApdu) -> bytes:
        """GENERATE ASYMMETRIC KEY PAIR: the old key of the slot is gone."""
        self._security.require_management()
        slot = _slot(command.p2)
        parts = _control(command.data)
        try:
            algorithm = Algorithm(_byte(parts.get(_ALGORITHM)))
            key = CardKey.generate(algorithm, _pin_policy(parts, slot))
        except (KeyRefused, ValueError):
            raise Refused(Sw.INCORRECT_DATA) from None
        self._card.keys[slot] = key
        self._card.save()
        self.work = key.work
        return public_template(key.public)

    def import_key(self, command: CommandApdu) -> bytes:
        """Yubico's IMPORT KEY: P1 algorithm, P2 slot; 06 scalar, or 01 and 02 the primes."""
        self._security.require_management()
        slot = _slot(command.p2)
        parts = _import_fields(command.data)
        policy = _pin_policy(parts, slot)
        try:
            if command.p1 == Algorithm.ECC_P256 and len(parts.get(_SCALAR, b"")) == P256_BYTES:
                key = CardKey.from_scalar(parts[_SCALAR], policy)
            elif command.p1 == Algorithm.RSA_2048:
                p, q = (int.from_bytes(parts.get(tag, b""), "big") for tag in (_PRIME_P, _PRIME_Q))
                key = CardKey.from_primes(p, q, policy)
            else:
                raise Refused(Sw.INCORRECT_DATA)
        except KeyRefused:
            raise Refused(Sw.INCORRECT_DATA) from None
        self._card.keys[slot] = key
        self._card.save()
        return b""

    def _key(self, command: CommandApdu) -> tuple[Slot, CardKey]:
        slot = _slot(command.p2)
        key = self._card.keys.get(slot)
        if key is None:
            raise Refused(Sw.REFERENCE_NOT_FOUND)
        if command.p1 != key.algorithm:
            raise Refused(Sw.INCORRECT_P1P2)
        return slot, key

    def _policy(self, slot: Slot, key: CardKey) -> PinPolicy:
        ungated = self._ungated_9a and slot is Slot.AUTHENTICATION
        return PinPolicy.NEVER if ungated else key.pin_policy

    def _compute(self, slot: Slot, key: CardKey, parts: dict[int, bytes]) -> bytes:
        if EXPONENTIATION in parts and CHALLENGE not in parts:
            return key.agree(parts[EXPONENTIATION])
        if CHALLENGE not in parts or EXPONENTIATION in parts:
            raise Refused(Sw.INCORRECT_DATA)
        prepared = parts[CHALLENGE]
        signature = key.sign(prepared)
        self.signed = Signed(slot, key.algorithm, prepared, signature)
        return signature


def _slot(reference: int) -> Slot:
    try:
        return Slot(reference)
    except ValueError:
        raise Refused(Sw.REFERENCE_NOT_FOUND) from None


def _control(data: bytes) -> dict[int, bytes]:
    """The control reference template of GENERATE."""
    try:
        template = Tlv.parse(data, minimal=False)
        if template.tag != _CONTROL:
            raise Refused(Sw.INCORRECT_DATA)
        return {part.tag: part.value for part in template.children(minimal=False)}
    except TlvError:
        raise Refused(Sw.INCORRECT_DATA) from None


def _import_fields(data: bytes) -> dict[int, bytes]:
    try:
        return {part.tag: part.value for part in Tlv.parse_all(data, minimal=False)}
    except TlvError:
        raise Refused(Sw.INCORRECT_DATA) from None


def _byte(value: bytes | None) -> int:
    if value is None or len(value) != 1:
        raise Refused(Sw.INCORRECT_DATA)
    return value[0]


def _pin_policy(parts: dict[int, bytes], slot: Slot) -> PinPolicy:
    """As the command says (Yubico), else as the standard has it for the slot."""
    if _PIN_POLICY not in parts:
        return STANDARD_PIN_POLICY[slot]
    try:
        return PinPolicy(_byte(parts[_PIN_POLICY]))
    except ValueError:
        raise Refused(Sw.INCORRECT_DATA) from None
