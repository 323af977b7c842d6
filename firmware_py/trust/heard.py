"""What custody is told of the gateway's words, still to be verified."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Asked:
    """A question was published: the heartbeat that answers `nonce` tells site time."""

    nonce: str
    asked_ns: int
    """Monotonic, before it was sent."""


@dataclass(frozen=True, slots=True)
class HeartbeatHeard:
    """A heartbeat's envelope, unverified. `answer`: it came into our own inbox."""

    data: bytes
    heard_ns: int
    """Monotonic."""
    answer: bool


@dataclass(frozen=True, slots=True)
class DirectoryHeard:
    """A directory change's envelope and entry lines, unverified."""

    data: bytes
