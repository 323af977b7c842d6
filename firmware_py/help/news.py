"""What comes back to the help desk by the terminal's queue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from contract.directory import Entitlement

if TYPE_CHECKING:
    from firmware_py.help.desk import HelpDesk


@dataclass(frozen=True, slots=True)
class Looked:
    """The directory was searched for somebody; null: nobody has a card in use."""

    card: Entitlement | None
    lost: bool


@runtime_checkable
class News(Protocol):
    """Something that knows whom at the desk it is for."""

    def tell(self, desk: HelpDesk) -> None:
        """Raises JournalFailed."""
        ...
