"""A plain speaker of PIV, written against the standard alone: bytes in, data and status out."""

from __future__ import annotations

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from hardware.apdu import CardChannel

AID = "A000000308000010000100"
DEFAULT_MANAGEMENT_KEY = bytes.fromhex("010203040506070801020304050607080102030405060708")


class Talk:
    """Commands in hexadecimal over a channel."""

    def __init__(self, channel: CardChannel) -> None:
        self.channel = channel

    def send(self, command: str | bytes) -> tuple[bytes, int]:
        raw = bytes.fromhex(command) if isinstance(command, str) else command
        answer = self.channel.transmit(raw)
        return answer[:-2], int.from_bytes(answer[-2:], "big")

    def sw(self, command: str | bytes) -> int:
        return self.send(command)[1]

    def whole(self, command: str | bytes) -> tuple[bytes, int]:
        data, sw = self.send(command)
        while sw >> 8 == 0x61:
            more, sw = self.send(bytes((0, 0xC0, 0, 0, sw & 0xFF)))
            data += more
        return data, sw

    def chain(self, head: str, data: bytes) -> tuple[bytes, int]:
        cla, *rest = bytes.fromhex(head)
        while len(data) > 255:
            _, sw = self.send(bytes((cla | 0x10, *rest, 255)) + data[:255])
            if sw != 0x9000:
                return b"", sw
            data = data[255:]
        return self.whole(bytes((cla, *rest, len(data))) + data + b"\0")

    def select(self) -> None:
        assert self.sw(f"00A40400 0B {AID} 00") == 0x9000

    def verify(self, pin: str, reference: str = "80") -> int:
        return self.sw(f"002000{reference} 08 {pin.encode().ljust(8, bytes([255])).hex()}")

    def tries(self) -> int:
        return self.sw("00200080 00")

    def change(self, reference: str, old: str, new: str) -> int:
        both = (one.encode().ljust(8, b"\xff").hex() for one in (old, new))
        return self.sw(f"002400{reference} 10 {''.join(both)}")

    def unblock(self, puk: str, pin: str) -> int:
        both = (one.encode().ljust(8, b"\xff").hex() for one in (puk, pin))
        return self.sw(f"002C0080 10 {''.join(both)}")

    def manage(self, key: bytes = DEFAULT_MANAGEMENT_KEY, algorithm: int = 0x03) -> int:
        """External authentication with the management key."""
        data, sw = self.send(f"0087{algorithm:02X}9B 04 7C028100 00")
        if sw != 0x9000:
            return sw
        cipher = TripleDES(key) if algorithm in (0, 3) else algorithms.AES(key)
        proof = Cipher(cipher, modes.ECB()).encryptor().update(data[4:])
        body = bytes((0x7C, len(proof) + 2, 0x82, len(proof))) + proof
        return self.sw(bytes((0, 0x87, algorithm, 0x9B, len(body))) + body + b"\0")

    def generate(self, slot: int, algorithm: int = 0x11, extra: str = "") -> tuple[bytes, int]:
        body = bytes.fromhex(f"8001{algorithm:02X}{extra}")
        control = bytes((0xAC, len(body))) + body
        return self.whole(bytes((0, 0x47, 0, slot, len(control))) + control + b"\0")

    def sign(self, slot: int, prepared: bytes, algorithm: int = 0x11) -> tuple[bytes, int]:
        """The signature out of its template, or nothing."""
        inner = b"\x82\0" + b"\x81" + _length(prepared) + prepared
        template = b"\x7c" + _length(inner) + inner
        data, sw = self.chain(f"0087{algorithm:02X}{slot:02X}", template)
        return _value(_value(data)), sw

    def put(self, tag: str, value: bytes) -> int:
        listed = bytes.fromhex(tag)
        body = b"\x5c" + _length(listed) + listed + b"\x53" + _length(value) + value
        return self.chain("00DB3FFF", body)[1]

    def get(self, tag: str) -> tuple[bytes, int]:
        listed = bytes.fromhex(tag)
        body = b"\x5c" + _length(listed) + listed
        return self.whole(b"\x00\xcb\x3f\xff" + _length(body) + body + b"\0")


def _length(value: bytes) -> bytes:
    count = len(value)
    if count < 0x80:
        return bytes((count,))
    return bytes((0x81, count)) if count < 0x100 else b"\x82" + count.to_bytes(2, "big")


def _value(tlv: bytes) -> bytes:
    if not tlv:
        return b""
    skip = 2 + (tlv[1] & 0x7F if tlv[1] & 0x80 else 0)
    return tlv[skip:]
