"""Which key of which token: a value that needs no library."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """A key in a token: the module's path, the token's label, the key's CKA_ID in hexadecimal."""

    module: str
    token: str
    id: str

    def __str__(self) -> str:
        return f"token '{self.token}'"
