"""What comes back to the help desk by the terminal's queue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from firmware_py.help.desk import HelpDesk


@runtime_checkable
class News(Protocol):
    """Something that knows whom at the desk it is for."""

    def tell(self, desk: HelpDesk) -> None:
        """Raises JournalFailed."""
        ...
