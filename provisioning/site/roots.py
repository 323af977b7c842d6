"""Where the root key lives: in an encrypted file, or in a PKCS#11 token that never gives it away.

The authority's folder holds `root.key.pem`, or `root.token.json`, which says which key of which
token it is.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from contract.signing import Signer, SoftwareSigner
from provisioning.errors import BadInput
from provisioning.site import keys
from provisioning.site.places import Place
from runtime import durable

_FILE: Final = "root.key.pem"
_TOKEN: Final = "root.token.json"  # noqa: S105 - a file's name
FILES: Final = (_FILE, _TOKEN)
"""One of them says where the root key is."""
_ID_BYTES: Final = 16
_CAP: Final = 64 * 1024


class RootHome(Protocol):
    """Makes a site's root key, once."""

    def make(self, authority: Path) -> Signer:
        """In this home; the folder says where. Raises ProvisioningError."""
        ...

    def undo(self, authority: Path) -> None:
        """Takes back what a `make` that was cut off left outside the folder."""
        ...


class FileRoot:
    """A PKCS#8 file, encrypted with a passphrase; plain only for tests and demonstrations."""

    def __init__(self, passphrase: bytes | None) -> None:
        self._passphrase = passphrase

    def make(self, authority: Path) -> Signer:
        key = keys.p256()
        keys.write_key(authority / _FILE, key, self._passphrase)
        return SoftwareSigner(key)

    def undo(self, authority: Path) -> None:
        """It left nothing."""


class TokenRoot:
    """A key made in a token (PKCS#11): `module` is the library, `token` the token's label."""

    def __init__(self, module: Path, token: str, pin: str) -> None:
        self._module, self._token, self._pin = module, token, pin

    def make(self, authority: Path) -> Signer:
        from provisioning.site import token  # noqa: PLC0415 - only who uses one needs its library

        place = Place(str(self._module), self._token, secrets.token_hex(_ID_BYTES))
        token.require(place, self._pin)
        record = {"module": place.module, "token": place.token, "id": place.id}
        # Said before it is made: a power cut must leave no key that nobody knows of.
        keys.write_new(authority / _TOKEN, json.dumps(record).encode(), 0o644)
        token.generate(place, self._pin)
        return token.TokenSigner(place, self._pin)

    def undo(self, authority: Path) -> None:
        from provisioning.site import token  # noqa: PLC0415 - as above

        if (authority / _TOKEN).exists():
            token.destroy(_place(authority / _TOKEN), self._pin)


def needs(authority: Path) -> str | None:
    """What must be asked for before the root can sign; None for a plain file."""
    if (authority / _TOKEN).exists():
        return "PIN of the token"
    if b"ENCRYPTED" in keys.read_pem(authority / _FILE):
        return "Passphrase of the root key"
    return None


def open_root(authority: Path, ask: Callable[[str], str]) -> Signer:
    """The root, ready to sign; `ask` gives what `needs` names. Raises ProvisioningError."""
    what = needs(authority)
    secret = None if what is None else ask(what)
    if (authority / _TOKEN).exists():
        from provisioning.site import token  # noqa: PLC0415 - as above

        return token.TokenSigner(_place(authority / _TOKEN), secret or "")
    passphrase = None if secret is None else secret.encode()
    return SoftwareSigner(keys.read_p256(authority / _FILE, passphrase))


def _place(path: Path) -> Place:
    try:
        found: dict[str, str] = json.loads(durable.read_capped(path, _CAP))
        return Place(found["module"], found["token"], found["id"])
    except (ValueError, KeyError, TypeError, durable.StorageError) as error:
        raise BadInput(f"{path}: says no place of a key ({error})") from error
