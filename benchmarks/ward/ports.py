"""A block of ports for one ward, so that two wards run side by side.

All lie below 32768, where the kernel takes the ports of outgoing connections from. A block is
reserved by an abstract unix socket of its name: it exists once a network namespace, exactly as the
ports do, and the kernel frees it when its process ends, however it ends.
"""

from __future__ import annotations

import socket
from typing import Final, Self

from benchmarks.ward.processes import WardError

_FIRST: Final = 20_000
_BLOCKS: Final = 300
BLOCK_SIZE: Final = 40
"""Ports of one ward: readers of several terminals, their kiosks, broker, gateway, and some more."""


class NoPorts(WardError):
    """Every block is taken, or this block is used up."""


class PortBlock:
    """Ports reserved for one ward until `release`; a context manager."""

    def __init__(self) -> None:
        """Reserve the first free block. Raises NoPorts."""
        for first in range(_FIRST, _FIRST + _BLOCKS * BLOCK_SIZE, BLOCK_SIZE):
            name = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                name.bind(f"\0tapover-ports-{first}")
            except OSError:
                name.close()
                continue
            if all(_is_free(port) for port in range(first, first + BLOCK_SIZE)):
                self.first, self._name, self._next = first, name, first
                return
            name.close()
        raise NoPorts(f"all {_BLOCKS} blocks of ports from {_FIRST} on are in use")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def take(self, count: int = 1) -> range:
        """The next ``count`` ports, in a row, for one use. Raises NoPorts."""
        taken = range(self._next, self._next + count)
        if taken.stop > self.first + BLOCK_SIZE:
            raise NoPorts(f"a ward has {BLOCK_SIZE} ports; {count} more are too many")
        self._next = taken.stop
        return taken

    def release(self) -> None:
        """Give the block back; whoever listened on it has stopped."""
        self._name.close()


def _is_free(port: int) -> bool:
    """Whether a server could listen here on every address, as the virtual readers do."""
    with socket.socket() as probe:
        # A finished connection of an earlier run does not matter to servers that reuse addresses.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True
