"""An agent that keeps OpenSC loaded, and the session too as long as its card stays: the best of it.

Run as ``python -I -S held_session.py MODULE MECHANISM`` with the PIN in the environment; imports
nothing of ours. A line in asks for ``begin`` (a card has come into ``reader``: find it, open, log
in), ``sign``, ``tap`` (both), or ``end`` (the card leaves). A line out says how many nanoseconds
the PKCS#11 calls took.

PKCS#11 2.20 by ctypes: CK_ULONG is an unsigned long, and the module's own functions are called
directly. What Python adds is some tens of microseconds a call.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import time
from collections.abc import Callable
from ctypes import Structure, byref, c_char_p, c_ubyte, c_ulong, c_void_p, cast
from typing import Final

_CKF_SERIAL_SESSION: Final = 4
_CKU_USER: Final = 1
_CKA_CLASS, _CKA_ID = 0x000, 0x102
_CKO_PRIVATE_KEY: Final = 3
_KEY_9A: Final = b"\x01"  # OpenSC's id of the PIV authentication key
_SLOTS: Final = 64
_SEEN_S: Final = 5.0
_MECHANISMS: Final = {"ECDSA": 0x1041, "RSA-PKCS": 0x0001}
_SHA256_INFO: Final = bytes.fromhex("3031300d060960864801650304020105000420")


class _Attribute(Structure):
    _fields_ = (("type", c_ulong), ("value", c_void_p), ("length", c_ulong))


class _Mechanism(Structure):
    _fields_ = (("mechanism", c_ulong), ("parameter", c_void_p), ("length", c_ulong))


class _SlotInfo(Structure):
    _fields_ = (
        ("description", c_ubyte * 64),
        ("maker", c_ubyte * 32),
        ("flags", c_ulong),
        ("versions", c_ubyte * 4),
    )


class Agent:
    """One module, one session at a time."""

    def __init__(self, module: str, mechanism: str, pin: str) -> None:
        self._library = ctypes.CDLL(module)
        self._mechanism = mechanism
        self._pin = pin.encode()
        self._session, self._key = c_ulong(), c_ulong()
        self._call("C_Initialize", None)

    def _call(self, name: str, *arguments: object) -> None:
        if code := getattr(self._library, name)(*arguments):
            raise SystemExit(f"{name}: {code:#x}")

    def _find_slot(self, reader: str) -> tuple[c_ulong, int]:
        """The slot with a token; the time of the call that saw it, not of those before."""
        slots, deadline = (c_ulong * _SLOTS)(), time.monotonic() + _SEEN_S
        while time.monotonic() < deadline:
            count, began_ns = c_ulong(_SLOTS), time.monotonic_ns()
            self._call("C_GetSlotList", c_ubyte(1), slots, byref(count))
            took_ns = time.monotonic_ns() - began_ns
            for slot in slots[: count.value]:
                if self._reader_of(slot) == reader:
                    return c_ulong(slot), took_ns
        raise SystemExit("no card was seen")

    def _reader_of(self, slot: int) -> str:
        info = _SlotInfo()
        self._call("C_GetSlotInfo", c_ulong(slot), byref(info))
        return bytes(info.description).decode().strip()

    def begin(self, reader: str) -> int:
        """A card has come. Nanoseconds."""
        slot, took_ns = self._find_slot(reader)
        began_ns = time.monotonic_ns()
        self._call(
            "C_OpenSession", slot, c_ulong(_CKF_SERIAL_SESSION), None, None, byref(self._session)
        )
        self._call(
            "C_Login",
            self._session,
            c_ulong(_CKU_USER),
            c_char_p(self._pin),
            c_ulong(len(self._pin)),
        )
        self._find_key()
        return took_ns + time.monotonic_ns() - began_ns

    def _find_key(self) -> None:
        kind, identity = c_ulong(_CKO_PRIVATE_KEY), (c_ubyte * 1)(*_KEY_9A)
        wanted = (_Attribute * 2)(
            _Attribute(_CKA_CLASS, cast(byref(kind), c_void_p), ctypes.sizeof(kind)),
            _Attribute(_CKA_ID, cast(identity, c_void_p), len(_KEY_9A)),
        )
        found = c_ulong()
        self._call("C_FindObjectsInit", self._session, wanted, c_ulong(2))
        self._call("C_FindObjects", self._session, byref(self._key), c_ulong(1), byref(found))
        self._call("C_FindObjectsFinal", self._session)
        if found.value != 1:
            raise SystemExit("the card's 9A was not found")

    def end(self) -> int:
        """The card leaves. Nanoseconds."""
        began_ns = time.monotonic_ns()
        self._call("C_CloseSession", self._session)
        return time.monotonic_ns() - began_ns

    def sign(self) -> int:
        """C_SignInit and C_Sign over fresh data. Nanoseconds."""
        digest = os.urandom(32)
        data = digest if self._mechanism == "ECDSA" else _SHA256_INFO + digest
        mechanism = _Mechanism(_MECHANISMS[self._mechanism], None, 0)
        signature, length = (c_ubyte * 256)(), c_ulong(256)
        began_ns = time.monotonic_ns()
        self._call("C_SignInit", self._session, byref(mechanism), self._key)
        self._call(
            "C_Sign", self._session, c_char_p(data), c_ulong(len(data)), signature, byref(length)
        )
        return time.monotonic_ns() - began_ns


def main() -> None:
    """Until the driver closes our input."""
    module, mechanism = sys.argv[1:]
    agent = Agent(module, mechanism, os.environ.pop("PIN"))
    verbs: dict[str, Callable[[str], int]] = {
        "begin": agent.begin,
        "sign": lambda _: agent.sign(),
        "tap": lambda reader: agent.begin(reader) + agent.sign(),
        "end": lambda _: agent.end(),
    }
    for line in sys.stdin:
        wanted = json.loads(line)
        took_ns = verbs[wanted["do"]](wanted["reader"])
        sys.stdout.write(json.dumps({"ns": took_ns}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
