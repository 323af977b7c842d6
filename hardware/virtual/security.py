"""Security status: PIN, PUK and management key (SP 800-73-4 part 2 §2.4, §3.2, appendix A.1).

* A try is used up, and stored, before the answer says that it was wrong.
* VERIFY of the wrong form costs no try; a blocked PIN is not compared.
* The status dies with power and reset. It survives SELECT of the PIV application.
"""

from __future__ import annotations

import hmac
import secrets
from typing import Final

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from hardware.apdu import CommandApdu, Sw
from hardware.tlv import Tlv
from hardware.virtual.card import (
    DEFAULT_PIN,
    DEFAULT_PUK,
    SECRET_BYTES,
    Card,
    Reference,
    padded,
)
from hardware.virtual.names import (
    MANAGEMENT_KEY_BYTES,
    MANAGEMENT_REFERENCE,
    PIN_REFERENCE,
    PUK_REFERENCE,
    Algorithm,
    PinPolicy,
)

TEMPLATE: Final = 0x7C
WITNESS: Final = 0x80
CHALLENGE: Final = 0x81
RESPONSE: Final = 0x82
EXPONENTIATION: Final = 0x85

_ALL_BITS: Final = 0xFF
_SHORTEST_PIN: Final = 6
_ATTEMPTS: Final = 0x63C0
_MOST_TRIES: Final = 15  # 63CX has one digit


class Refused(Exception):
    """The card refuses a command with ``sw``."""

    def __init__(self, sw: int) -> None:
        """Carry the status word."""
        super().__init__(f"{sw:04X}")
        self.sw = sw


class Security:
    """What has been proven to a card since it got power."""

    def __init__(self, card: Card) -> None:
        """Nothing is proven yet."""
        self._card = card
        self.forget()

    def forget(self) -> None:
        """Power or reset: all proofs end."""
        self.pin_verified = False
        self.pin_fresh = False
        self.managing = False
        self._challenge: bytes | None = None
        self._witness: bytes | None = None

    def may_use(self, policy: PinPolicy) -> bool:
        """Whether a key of this policy may be used now. ALWAYS wants a VERIFY just before."""
        if policy is PinPolicy.NEVER:
            return True
        return self.pin_verified and (policy is PinPolicy.ONCE or self.pin_fresh)

    def require_management(self) -> None:
        """Raise Refused unless the management key was proven."""
        if not self.managing:
            raise Refused(Sw.SECURITY_STATUS_NOT_SATISFIED)

    # VERIFY, CHANGE REFERENCE DATA, RESET RETRY COUNTER

    def verify(self, command: CommandApdu) -> bytes:
        """VERIFY (§3.2.1): compare, ask for the status (no data), or drop it (P1 = FF)."""
        if command.p2 != PIN_REFERENCE:
            raise Refused(Sw.REFERENCE_NOT_FOUND)
        if command.p1 == _ALL_BITS:
            if command.data:
                raise Refused(Sw.INCORRECT_DATA)
            self.pin_verified = self.pin_fresh = False
            return b""
        if command.p1:
            raise Refused(Sw.INCORRECT_P1P2)
        if not command.data:
            if self.pin_verified:
                return b""
            raise Refused(_tries_answer(self._card.pin))
        if not self._card.pin.left:
            raise Refused(Sw.PIN_BLOCKED)
        if not is_pin(command.data):
            raise Refused(Sw.INCORRECT_DATA)
        self.pin_verified = self.pin_fresh = False
        self._compare(self._card.pin, command.data)
        self.pin_verified = self.pin_fresh = True
        return b""

    def accept_any_pin(self) -> None:
        """The fault of a card whose VERIFY does not look at the PIN."""
        self.pin_verified = self.pin_fresh = True

    def change_reference_data(self, command: CommandApdu) -> bytes:
        """CHANGE REFERENCE DATA (§3.2.2): the old PIN or PUK, then the new."""
        old, new = _two_secrets(command)
        if command.p2 == PIN_REFERENCE:
            if not self._card.pin.left:
                raise Refused(Sw.PIN_BLOCKED)
            if not is_pin(new):
                raise Refused(Sw.INCORRECT_DATA)
            self.pin_verified = self.pin_fresh = False
            self._compare(self._card.pin, old)
            self._card.pin.change(new)
            self.pin_verified = True
        elif command.p2 == PUK_REFERENCE:
            self._compare(self._card.puk, old)
            self._card.puk.change(new)
        else:
            raise Refused(Sw.REFERENCE_NOT_FOUND)
        self._card.save()
        return b""

    def reset_retry_counter(self, command: CommandApdu) -> bytes:
        """RESET RETRY COUNTER (§3.2.3): the PUK, then a new PIN. Does not verify the PIN."""
        if command.p2 != PIN_REFERENCE:
            raise Refused(Sw.REFERENCE_NOT_FOUND)
        puk, pin = _two_secrets(command)
        if not is_pin(pin):
            raise Refused(Sw.INCORRECT_DATA)
        self._compare(self._card.puk, puk)
        self._card.pin.change(pin)
        self.pin_verified = self.pin_fresh = False
        self._card.save()
        return b""

    def _compare(self, reference: Reference, value: bytes) -> None:
        if not reference.left:
            raise Refused(Sw.PIN_BLOCKED)
        if hmac.compare_digest(reference.value, value):
            if reference.left != reference.allowed:
                reference.left = reference.allowed
                self._card.save()
            return
        reference.left -= 1
        self._card.save()
        raise Refused(_ATTEMPTS | reference.left)

    # GENERAL AUTHENTICATE with the management key (appendix A.1)

    def authenticate_management(self, algorithm: int, template: Tlv) -> bytes:
        """External authentication (81, then 82) or mutual (80, then 80 + 81)."""
        key = self._card.management_algorithm
        wanted = Algorithm.TDES if algorithm == Algorithm.TDES_DEFAULT else algorithm
        if wanted != key:
            raise Refused(Sw.INCORRECT_P1P2)
        parts = {part.tag: part.value for part in template.children(minimal=False)}
        witness, challenge, response = (parts.get(tag) for tag in (WITNESS, CHALLENGE, RESPONSE))
        asked, sworn = self._challenge, self._witness
        self._challenge = self._witness = None
        if witness == b"":
            self._witness = secrets.token_bytes(self._block)
            return Tlv(TEMPLATE, Tlv(WITNESS, self._encrypt(self._witness)))
        if witness and challenge:
            self._prove(sworn, witness, challenge)
            return Tlv(TEMPLATE, Tlv(RESPONSE, self._encrypt(challenge)))
        if challenge == b"":
            self._challenge = secrets.token_bytes(self._block)
            return Tlv(TEMPLATE, Tlv(CHALLENGE, self._challenge))
        if response and asked is not None:
            self._prove(self._encrypt(asked), response)
            return b""
        raise Refused(Sw.INCORRECT_DATA)

    @property
    def _block(self) -> int:
        return 8 if self._card.management_algorithm is Algorithm.TDES else 16

    def _prove(self, expected: bytes | None, got: bytes, challenge: bytes | None = None) -> None:
        self.managing = False
        if challenge is not None and len(challenge) != self._block:
            raise Refused(Sw.INCORRECT_DATA)
        if expected is None or not hmac.compare_digest(expected, got):
            raise Refused(Sw.SECURITY_STATUS_NOT_SATISFIED)
        self.managing = True

    def _encrypt(self, block: bytes) -> bytes:
        key = self._card.management_key
        tdes = self._card.management_algorithm is Algorithm.TDES
        cipher = TripleDES(key) if tdes else algorithms.AES(key)
        # One random block under ECB is what the standard asks for: a challenge, no message.
        encryptor = Cipher(cipher, modes.ECB()).encryptor()  # noqa: S305
        return encryptor.update(block) + encryptor.finalize()

    # Yubico's additions

    def set_management_key(self, command: CommandApdu) -> bytes:
        """SET MANAGEMENT KEY: algorithm, 9B, length, key; P2 FE would ask for a touch."""
        self.require_management()
        head, key = command.data[:3], command.data[3:]
        algorithm = (head[0] or Algorithm.TDES) if head else -1
        if (
            command.p1 != _ALL_BITS
            or head[1:] != bytes((MANAGEMENT_REFERENCE, len(key) & 0xFF))
            or MANAGEMENT_KEY_BYTES.get(algorithm) != len(key)
        ):
            raise Refused(Sw.INCORRECT_DATA)
        self._card.management_algorithm = Algorithm(algorithm)
        self._card.management_key = key
        self._card.save()
        return b""

    def set_pin_retries(self, command: CommandApdu) -> bytes:
        """SET PIN RETRIES: P1 tries for the PIN, P2 for the PUK; both go back to the default."""
        self.require_management()
        if not self.pin_verified:
            raise Refused(Sw.SECURITY_STATUS_NOT_SATISFIED)
        if not (0 < command.p1 <= _MOST_TRIES and 0 < command.p2 <= _MOST_TRIES):
            raise Refused(Sw.INCORRECT_P1P2)
        self._card.pin = Reference(padded(DEFAULT_PIN), command.p1, command.p1)
        self._card.puk = Reference(padded(DEFAULT_PUK), command.p2, command.p2)
        self.pin_verified = self.pin_fresh = False
        self._card.save()
        return b""

    def reset_card(self) -> bytes:
        """RESET: everything gone, but only once PIN and PUK are both blocked."""
        if self._card.pin.left or self._card.puk.left:
            raise Refused(Sw.CONDITIONS_NOT_SATISFIED)
        self._card.wipe()
        self._card.save()
        self.forget()
        return b""


def is_pin(value: bytes) -> bool:
    """Whether these are six to eight decimal digits, padded with FF to eight bytes (§2.4.3)."""
    digits = value.rstrip(b"\xff")
    return len(value) == SECRET_BYTES and len(digits) >= _SHORTEST_PIN and digits.isdigit()


def _tries_answer(reference: Reference) -> int:
    return _ATTEMPTS | reference.left if reference.left else Sw.PIN_BLOCKED


def _two_secrets(command: CommandApdu) -> tuple[bytes, bytes]:
    if command.p1:
        raise Refused(Sw.INCORRECT_P1P2)
    if len(command.data) != 2 * SECRET_BYTES:
        raise Refused(Sw.INCORRECT_DATA)
    return command.data[:SECRET_BYTES], command.data[SECRET_BYTES:]
