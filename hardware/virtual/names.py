"""What SP 800-73-4 part 1 and part 2 call things, and Yubico's additions: the card's own copy.

The card shares no table with the client in ``hardware.piv``, so that a mistake in one of them does
not confirm itself in the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, IntEnum, StrEnum
from typing import Final

AID: Final = bytes.fromhex("A000000308000010000100")
"""The PIV Card Application, version 1.0 (part 1 §2.2)."""

SHORTEST_AID: Final = 5
"""A right-truncated AID must still carry the whole registered provider: NIST's RID."""


class Ins(IntEnum):
    """Instruction bytes (part 2 §3); from 0xF8 on, Yubico's."""

    VERIFY = 0x20
    CHANGE_REFERENCE_DATA = 0x24
    RESET_RETRY_COUNTER = 0x2C
    GENERATE_ASYMMETRIC_KEY_PAIR = 0x47
    GENERAL_AUTHENTICATE = 0x87
    SELECT = 0xA4
    GET_RESPONSE = 0xC0
    GET_DATA = 0xCB
    PUT_DATA = 0xDB
    GET_SERIAL = 0xF8
    SET_PIN_RETRIES = 0xFA
    RESET = 0xFB
    GET_VERSION = 0xFD
    IMPORT_KEY = 0xFE
    SET_MANAGEMENT_KEY = 0xFF


class Slot(IntEnum):
    """Key references (part 1 table 4b) that this card serves."""

    AUTHENTICATION = 0x9A
    SIGNATURE = 0x9C
    KEY_MANAGEMENT = 0x9D
    CARD_AUTHENTICATION = 0x9E


PIN_REFERENCE: Final = 0x80
PUK_REFERENCE: Final = 0x81
MANAGEMENT_REFERENCE: Final = 0x9B


class Algorithm(IntEnum):
    """Algorithm identifiers (SP 800-78-4 table 6-2)."""

    TDES_DEFAULT = 0x00
    TDES = 0x03
    RSA_2048 = 0x07
    AES_128 = 0x08
    AES_192 = 0x0A
    AES_256 = 0x0C
    ECC_P256 = 0x11


MANAGEMENT_KEY_BYTES: Final[Mapping[int, int]] = {
    Algorithm.TDES: 24,
    Algorithm.AES_128: 16,
    Algorithm.AES_192: 24,
    Algorithm.AES_256: 32,
}
"""Length of a management key by its algorithm."""


class PinPolicy(IntEnum):
    """When a key asks for the PIN; the values of Yubico's tag AA."""

    NEVER = 1
    ONCE = 2
    ALWAYS = 3


STANDARD_PIN_POLICY: Final = {
    Slot.AUTHENTICATION: PinPolicy.ONCE,
    Slot.SIGNATURE: PinPolicy.ALWAYS,
    Slot.KEY_MANAGEMENT: PinPolicy.ONCE,
    Slot.CARD_AUTHENTICATION: PinPolicy.NEVER,
}
"""The access rules of part 1 table 4b."""


class ObjectTag(IntEnum):
    """Data objects with a rule of their own (part 1 table 3)."""

    DISCOVERY = 0x7E
    BIOMETRIC_GROUP = 0x7F61
    CARD_AUTHENTICATION_CERTIFICATE = 0x5FC101
    CHUID = 0x5FC102
    FINGERPRINTS = 0x5FC103
    AUTHENTICATION_CERTIFICATE = 0x5FC105
    CCC = 0x5FC107
    FACE = 0x5FC108
    PRINTED_INFORMATION = 0x5FC109
    SIGNATURE_CERTIFICATE = 0x5FC10A
    KEY_MANAGEMENT_CERTIFICATE = 0x5FC10B
    IRIS = 0x5FC121
    SECURE_MESSAGING_CERTIFICATE = 0x5FC122


CERTIFICATE_OF: Final = {
    Slot.AUTHENTICATION: ObjectTag.AUTHENTICATION_CERTIFICATE,
    Slot.SIGNATURE: ObjectTag.SIGNATURE_CERTIFICATE,
    Slot.KEY_MANAGEMENT: ObjectTag.KEY_MANAGEMENT_CERTIFICATE,
    Slot.CARD_AUTHENTICATION: ObjectTag.CARD_AUTHENTICATION_CERTIFICATE,
}
"""Where the certificate of each key lies."""


class Access(StrEnum):
    """How far the card opens on the interface it is held to."""

    CONTACT = "contact"
    CONTACTLESS_STRICT = "contactless-strict"
    """As the standard says without secure messaging: 9E, its certificate, CHUID, discovery."""
    CONTACTLESS_LENIENT = "contactless-lenient"
    """As many cards on sale do it: everything, as over contact."""


class Work(Enum):
    """What a command made the card compute; the timing profile puts a duration to it."""

    NONE = "none"
    EC = "ec"
    RSA = "rsa"
