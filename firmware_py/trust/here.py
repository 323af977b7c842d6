"""What the directory says of the place where a decision falls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from contract.directory import Terminal
from contract.ids import Version, WardId
from contract.policy import Policy

NO_WARD: Final = WardId("unknown")
"""Where a terminal stands that is in no register."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the decision falls, as the directory has it (`store.Directory.place`)."""

    directory: Version | None
    """Null when no directory is held."""
    terminal: Terminal | None
    policy: Policy
    """The ward's, or the contract's defaults where the ward has none."""
    unread: str = ""
    """Why the ward's cannot be read; then the defaults stand in its place."""


def default_policy(ward: WardId = NO_WARD) -> Policy:
    """The contract's defaults, for a ward (or nobody's) that the directory has no policy of."""
    return Policy(ward=ward, salt="0" * 32)
