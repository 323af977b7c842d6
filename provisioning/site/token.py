"""A P-256 key in a PKCS#11 token (OASIS PKCS #11 v2.40): made there, used there, never taken out.

The only importer of the PKCS#11 library. What a token says ends in our own error.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, cast

import pkcs11
from cryptography.hazmat.primitives.asymmetric import utils
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass
from pkcs11.exceptions import NoSuchKey, PinIncorrect, PinLenRange, PinLocked, PKCS11Error
from pkcs11.types import SignMixin
from pkcs11.util.ec import encode_ec_public_key, encode_named_curve_parameters

from contract.signing import SignatureRefused, VerifyKey
from provisioning.errors import TokenTrouble
from provisioning.site.places import Place

_LABEL: Final = "tapover root"
_HALF: Final = 32  # bytes of r, and of s


class TokenSigner:
    """A `contract.signing.Signer` over a key in a token. `repr` shows where, never the PIN."""

    def __init__(self, place: Place, pin: str) -> None:
        """Raises TokenTrouble."""
        self._place, self._pin = place, pin
        with _session(place, pin) as session:
            key = session.get_key(ObjectClass.PUBLIC_KEY, id=bytes.fromhex(place.id))
            spki = encode_ec_public_key(cast("pkcs11.PublicKey", key))
        try:
            self._public = VerifyKey.from_spki(spki)
        except SignatureRefused as error:
            raise TokenTrouble(f"{place}: holds no P-256 key under its id") from error

    def __repr__(self) -> str:
        return f"TokenSigner({self._place})"

    @property
    def public(self) -> VerifyKey:
        return self._public

    def sign(self, message: bytes) -> bytes:
        """ECDSA over SHA-256, DER. Raises TokenTrouble."""
        with _session(self._place, self._pin) as session:
            key = session.get_key(ObjectClass.PRIVATE_KEY, id=bytes.fromhex(self._place.id))
            private = cast("SignMixin", key)
            raw = private.sign(hashlib.sha256(message).digest(), mechanism=Mechanism.ECDSA)
        numbers = (int.from_bytes(half, "big") for half in (raw[:_HALF], raw[_HALF:]))
        return utils.encode_dss_signature(*numbers)


def require(place: Place, pin: str) -> None:
    """Raises TokenTrouble unless the token is there and takes the PIN."""
    with _session(place, pin):
        pass


def generate(place: Place, pin: str) -> None:
    """Makes the key pair of `place` in its token, not extractable. Raises TokenTrouble."""
    with _session(place, pin) as session:
        curve = session.create_domain_parameters(
            KeyType.EC,
            {Attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1")},
            local=True,
        )
        curve.generate_keypair(
            id=bytes.fromhex(place.id),
            label=_LABEL,
            store=True,
            private_template={Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False},
        )


def destroy(place: Place, pin: str) -> None:
    """Removes the key pair, where it is there: it has signed nothing. Raises TokenTrouble."""
    with _session(place, pin) as session:
        for found in session.get_objects({Attribute.ID: bytes.fromhex(place.id)}):
            found.destroy()


@contextmanager
def _session(place: Place, pin: str) -> Iterator[pkcs11.Session]:
    try:
        token = pkcs11.lib(place.module).get_token(token_label=place.token)
        with token.open(user_pin=pin, rw=True) as session:
            yield session
    except (PinIncorrect, PinLenRange) as error:
        raise TokenTrouble(f"{place}: refuses the PIN; it counts wrong ones") from error
    except PinLocked as error:
        raise TokenTrouble(f"{place}: its PIN is locked; its security officer can help") from error
    except NoSuchKey as error:
        raise TokenTrouble(f"{place}: the site's key is not in it") from error
    except PKCS11Error as error:
        raise TokenTrouble(f"{place}: {type(error).__name__} {error}".rstrip()) from error
    except RuntimeError as error:  # the library's own word for a module that does not load
        raise TokenTrouble(f"{place}: the module does not load ({error})") from error
