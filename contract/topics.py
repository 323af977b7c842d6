"""MQTT topics (DESIGN §8). A terminal writes only below its own name.

The gateway writes the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from contract.ids import TerminalId, is_name
from contract.wire import WireError

PREFIX = "tapover/v1"
_LEVELS = 4


class FromTerminal(StrEnum):
    """Channels that a terminal alone writes."""

    AUDIT = "audit"
    STATUS = "status"
    PIN = "pin"
    MOVE = "move"
    HELP = "help"
    """Spares assigned at 03:00, for the ward's other terminals (`contract.help`)."""
    EMERGENCY = "emergency"
    """Break-glass, for the nurse in charge, with or without a gateway (`contract.emergency`)."""
    DOWNTIME = "downtime"
    """What two cards declared, for the ward's other terminals (`contract.declaring`)."""


AMONG_TERMINALS: Final = (
    FromTerminal.PIN,
    FromTerminal.MOVE,
    FromTerminal.HELP,
    FromTerminal.EMERGENCY,
    FromTerminal.DOWNTIME,
)
"""What terminals say to each other as well; the rest is between one of them and the gateway."""


class ToTerminal(StrEnum):
    """Channels on which the gateway speaks to one terminal."""

    RECEIPT = "receipt"
    INBOX = "inbox"


class Site(StrEnum):
    """Channels on which the gateway speaks to everybody."""

    DIRECTORY = "directory"
    HEARTBEAT = "heartbeat"
    CHECKPOINT = "checkpoint"
    KEYS = "keys"
    """The key statement, said again and again: who missed it hears the next one."""
    EMERGENCIES = "emergencies"
    """Break-glass, as its terminal signed it, again and again: for who starts or signs on later."""


RESERVED = "site"
"""Stands where a terminal's id stands, so no terminal may bear it.

Nor `gateway`, the gateway's own client id.
"""
GATEWAY = "gateway"


@dataclass(frozen=True, slots=True)
class TerminalTopic:
    """One terminal's channel; `str` is the topic."""

    terminal: TerminalId
    channel: FromTerminal | ToTerminal

    def __str__(self) -> str:
        return f"{PREFIX}/{self.terminal}/{self.channel}"


def terminal_topic(terminal: TerminalId, channel: FromTerminal | ToTerminal) -> str:
    return str(TerminalTopic(terminal, channel))


def site_topic(channel: Site) -> str:
    return f"{PREFIX}/{RESERVED}/{channel}"


def any_terminal(channel: FromTerminal) -> str:
    """The filter with which the gateway hears a channel of all terminals."""
    return f"{PREFIX}/+/{channel}"


def parse_topic(topic: str) -> TerminalTopic | Site:
    """Raises WireError on a topic that the contract does not name."""
    levels = topic.split("/")
    if len(levels) != _LEVELS or "/".join(levels[:2]) != PREFIX:
        raise WireError("not a topic of ours")
    _, _, who, channel = levels
    try:
        if who == RESERVED:
            return Site(channel)
        if not is_name(who) or who == GATEWAY:
            raise WireError("not a terminal's name")
        return TerminalTopic(TerminalId(who), _channel(channel))
    except ValueError as error:
        raise WireError("not a channel of ours") from error


def _channel(name: str) -> FromTerminal | ToTerminal:
    try:
        return FromTerminal(name)
    except ValueError:
        return ToTerminal(name)
