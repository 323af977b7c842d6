"""The secret of this boot, and the file in which the kiosk's browser finds it.

``kiosk.url`` holds the page's address with the secret, readable by its owner alone. The secret
stays the same while the machine is up: a page finds its way back to a daemon that was restarted.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Final

from runtime.durable import StorageError, read_capped, write_file

_BOOT_FILE: Final = "kiosk.boot"
_URL_FILE: Final = "kiosk.url"
_SECRET_BYTES: Final = 32
# A boot id of 32 digits, a blank, a secret of 43 letters.
_CAP: Final = 128
_SECRET_LETTERS: Final = 43


def secret_of_boot(folder: Path, boot: str) -> str:
    """The secret that this boot has already, or a new one, kept. Raises StorageError."""
    path = folder / _BOOT_FILE
    try:
        known, _, secret = read_capped(path, _CAP).decode("ascii").strip().partition(" ")
    except (StorageError, UnicodeDecodeError):
        known = secret = ""
    if known == boot and len(secret) == _SECRET_LETTERS:
        return secret
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    write_file(path, f"{boot} {secret}\n".encode())
    return secret


def write_url(folder: Path, url: str) -> None:
    """Leave the page's address for the browser. Raises StorageError."""
    write_file(folder / _URL_FILE, f"{url}\n".encode())
