"""What this machine knows of its own network: said on the glass, decided by nobody."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_INTERFACES: Final = Path("/sys/class/net")
_LOOPBACK: Final = "lo"
# A terminal has a port and perhaps a radio; a strange machine may have hundreds of virtual ones.
_MOST: Final = 16


@dataclass(frozen=True, slots=True)
class Network:
    """As it is now. `mac` is the first real interface's, by which a switch knows this device."""

    mac: str | None
    linked: bool
    addresses: tuple[str, ...]


def look(towards: str | None, interfaces: Path = _INTERFACES) -> Network:
    """`towards` is the host that is to be reached: the address on the way to it is shown."""
    names = sorted(_names(interfaces))[:_MOST]
    real = [name for name in names if (interfaces / name / "device").exists()] or names
    macs = [mac for name in real if (mac := _read(interfaces / name / "address"))]
    linked = any(_read(interfaces / name / "carrier") == "1" for name in names)
    return Network(macs[0].upper() if macs else None, linked, _addresses(towards))


def _names(interfaces: Path) -> list[str]:
    try:
        return [each.name for each in interfaces.iterdir() if each.name != _LOOPBACK]
    except OSError:
        return []


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _addresses(towards: str | None) -> tuple[str, ...]:
    """Our own, as the kernel would choose it: connecting a datagram socket sends nothing."""
    found = []
    # Documentation addresses (RFC 5737, RFC 3849): any that the default route serves.
    for family, anywhere in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        for host in (towards, anywhere):
            if host is not None and (address := _own(family, host)) is not None:
                found.append(address)
                break
    return tuple(dict.fromkeys(found))


def _own(family: socket.AddressFamily, host: str) -> str | None:
    try:
        socket.inet_pton(family, host)
    except OSError:  # a name, or of the other family: asking for it could wait for long
        return None
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((host, 9))
        except OSError:
            return None
        return str(probe.getsockname()[0])
