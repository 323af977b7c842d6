"""What a person can do at the screen: the bodies of the page's POSTs, read exactly or refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from contract.wire import WireError, check_i_json
from firmware_py.emergency import commands as emergency
from firmware_py.glass import commands as glass
from firmware_py.help import commands as help_
from firmware_py.pin import commands as pin
from firmware_py.sessions import commands as sessions
from firmware_py.workspace import commands as workspace

# The longest body names a guest: eighty letters of four bytes, a number, and some room.
MAX_BODY_BYTES: Final = 512


class CommandRefused(ValueError):
    """A body that is none of ours. Never quotes it: it may hold a PIN."""


Command = (
    glass.Command
    | workspace.Typed
    | emergency.EmergencyCommand
    | pin.NewPinEntered
    | sessions.Command
    | help_.Command
)


_READERS: Final[dict[str, Callable[[dict[str, object]], Command]]] = {
    **glass.READERS,
    **workspace.READERS,
    **emergency.READERS,
    **pin.READERS,
    **sessions.READERS,
    **help_.READERS,
}
_CAPS: Final = {"typed": workspace.MAX_TYPED_BYTES}

NAMES: Final = tuple(_READERS)
"""The commands, each under ``/<name>``."""


def body_cap(name: str) -> int:
    """Bytes that the body of ``POST /<name>`` may have."""
    return _CAPS.get(name, MAX_BODY_BYTES)


def read_command(name: str, body: bytes) -> Command:
    """The command in the body of ``POST /<name>``. Raises CommandRefused."""
    try:
        fields = check_i_json(body, body_cap(name))
    except WireError as error:
        raise CommandRefused(str(error)) from None
    if not isinstance(fields, dict):
        raise CommandRefused("not an object")
    try:
        command = _READERS[name](fields)
    except CommandRefused:
        raise
    except ValueError as error:
        raise CommandRefused(str(error)) from None
    if fields:
        raise CommandRefused("a field that is not ours")
    return command
