"""Key pairs on the card: made, imported, used, and written as PIV does it (SP 800-73-4 part 2)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple, Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from hardware.tlv import Tlv
from hardware.virtual.names import Algorithm, PinPolicy, Work

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey

RSA_BITS: Final = 2048
RSA_BYTES: Final = RSA_BITS // 8
P256_BYTES: Final = 32
_PUBLIC_EXPONENT: Final = 65_537
_TEMPLATE: Final = 0x7F49
_MODULUS: Final = 0x81
_EXPONENT: Final = 0x82
_POINT: Final = 0x86


class KeyRefused(ValueError):
    """Material or input that this kind of key cannot use."""


class _Crt(NamedTuple):
    """What the raw RSA operation needs (RFC 8017 §5.1.2)."""

    n: int
    p: int
    q: int
    dp: int
    dq: int
    q_inverse: int


@dataclass(frozen=True, slots=True)
class CardKey:
    """A private key in a slot, and when it asks for the PIN."""

    private: PrivateKey = field(repr=False)
    pin_policy: PinPolicy
    _crt: _Crt | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Unpack an RSA key once: taking its numbers out costs more than using them."""
        if isinstance(self.private, rsa.RSAPrivateKey):
            numbers = self.private.private_numbers()
            crt = _Crt(
                numbers.public_numbers.n,
                numbers.p,
                numbers.q,
                numbers.dmp1,
                numbers.dmq1,
                numbers.iqmp,
            )
            object.__setattr__(self, "_crt", crt)

    @classmethod
    def generate(cls, algorithm: Algorithm, pin_policy: PinPolicy) -> Self:
        """A fresh pair. Raises KeyRefused for an algorithm that is no key pair of this card."""
        if algorithm is Algorithm.ECC_P256:
            return cls(ec.generate_private_key(ec.SECP256R1()), pin_policy)
        if algorithm is Algorithm.RSA_2048:
            return cls(rsa.generate_private_key(_PUBLIC_EXPONENT, RSA_BITS), pin_policy)
        raise KeyRefused(f"no key pairs of {algorithm.name}")

    @classmethod
    def from_scalar(cls, scalar: bytes, pin_policy: PinPolicy) -> Self:
        """An imported P-256 key. Raises KeyRefused."""
        try:
            private = ec.derive_private_key(int.from_bytes(scalar, "big"), ec.SECP256R1())
        except ValueError as error:
            raise KeyRefused("no scalar of P-256") from error
        return cls(private, pin_policy)

    @classmethod
    def from_primes(cls, p: int, q: int, pin_policy: PinPolicy) -> Self:
        """An imported RSA-2048 key with exponent 65537. Raises KeyRefused."""
        if (p * q).bit_length() != RSA_BITS:
            raise KeyRefused("not RSA-2048")
        try:
            d = pow(_PUBLIC_EXPONENT, -1, (p - 1) * (q - 1))
            numbers = rsa.RSAPrivateNumbers(
                p,
                q,
                d,
                rsa.rsa_crt_dmp1(d, p),
                rsa.rsa_crt_dmq1(d, q),
                rsa.rsa_crt_iqmp(p, q),
                rsa.RSAPublicNumbers(_PUBLIC_EXPONENT, p * q),
            )
            private = numbers.private_key()
        except ValueError as error:
            raise KeyRefused("no primes of an RSA key") from error
        return cls(private, pin_policy)

    @classmethod
    def from_der(cls, der: bytes, pin_policy: PinPolicy) -> Self:
        """A key of the card's file (PKCS #8). Raises KeyRefused."""
        try:
            # The file is our own: proving the primes prime again takes 100 ms an RSA key.
            private = serialization.load_der_private_key(
                der, None, unsafe_skip_rsa_key_validation=True
            )
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise KeyRefused("no PKCS #8 private key") from error
        if not isinstance(private, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
            raise KeyRefused("neither an EC nor an RSA key")
        return cls(private, pin_policy)

    def to_der(self) -> bytes:
        """The key for the card's file, PKCS #8 without encryption."""
        return self.private.private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )

    @property
    def algorithm(self) -> Algorithm:
        """The identifier that P1 of GENERAL AUTHENTICATE must name."""
        return Algorithm.ECC_P256 if self._crt is None else Algorithm.RSA_2048

    @property
    def work(self) -> Work:
        """What using this key costs a card."""
        return Work.EC if self._crt is None else Work.RSA

    @property
    def public(self) -> PublicKey:
        """The public half."""
        return self.private.public_key()

    def sign(self, prepared: bytes) -> bytes:
        """ECDSA over a digest of at most 32 bytes, or raw RSA over a padded block of 256.

        The card never hashes or pads (part 2 appendix A). Raises KeyRefused on other lengths.
        """
        if isinstance(self.private, ec.EllipticCurvePrivateKey):
            if not 0 < len(prepared) <= P256_BYTES:
                raise KeyRefused("digest longer than the curve")
            # A shorter digest is the same number with zeros in front (FIPS 186-5 §6.4.1).
            digest = prepared.rjust(P256_BYTES, b"\0")
            return self.private.sign(digest, ec.ECDSA(Prehashed(hashes.SHA256())))
        return self._raw_rsa(prepared)

    def agree(self, point: bytes) -> bytes:
        """ECDH with an uncompressed point; the x coordinate. Raises KeyRefused."""
        if not isinstance(self.private, ec.EllipticCurvePrivateKey):
            raise KeyRefused("key agreement needs an EC key")
        try:
            peer = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        except ValueError as error:
            raise KeyRefused("no point of P-256") from error
        return self.private.exchange(ec.ECDH(), peer)

    def _raw_rsa(self, block: bytes) -> bytes:
        if self._crt is None or len(block) != RSA_BYTES:
            raise KeyRefused("RSA-2048 takes a block of 256 bytes")
        n, p, q, dp, dq, q_inverse = self._crt
        number = int.from_bytes(block, "big")
        if number >= n:
            raise KeyRefused("block not below the modulus")
        at_p, at_q = pow(number % p, dp, p), pow(number % q, dq, q)
        return (at_q + q * ((at_p - at_q) * q_inverse % p)).to_bytes(RSA_BYTES, "big")


def public_template(key: PublicKey) -> bytes:
    """The answer of GENERATE ASYMMETRIC KEY PAIR (part 2 §3.3.2, tag 7F49)."""
    if isinstance(key, ec.EllipticCurvePublicKey):
        point = key.public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
        return Tlv(_TEMPLATE, Tlv(_POINT, point))
    numbers = key.public_numbers()
    return Tlv(
        _TEMPLATE,
        Tlv(_MODULUS, numbers.n.to_bytes(RSA_BYTES, "big")),
        Tlv(_EXPONENT, numbers.e.to_bytes(3, "big")),
    )
