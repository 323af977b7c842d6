"""How a terminal reaches its network, as its boot partition says it (cloud-init, netplan v2)."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Any, Final, Literal

from provisioning.errors import BadInput

INTERFACE: Final = "eth0"
"""The one socket of a Pi-class terminal."""
BOOT: Final = "/boot/firmware/tapover"
"""Where the boot partition's folder lies on the running device (Raspberry Pi OS, Debian 12)."""
_MOST_VLAN: Final = 4094
_HOST: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|[0-9A-Fa-f:]{2,45}")

_ZONE: Final = re.compile(r"[A-Za-z_]{2,20}(?:/[A-Za-z0-9_+-]{1,30}){0,2}")


@dataclass(frozen=True, slots=True)
class Static:
    """A fixed address: CIDR, the way out, name servers."""

    address: str
    via: str
    dns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Dot1x:
    """Wired 802.1X. `password` for peap and ttls; certificates (PEM) for tls. Never repr'd."""

    method: Literal["peap", "ttls", "tls"]
    identity: str
    password: str = ""
    ca: bytes = b""
    certificate: bytes = b""
    key: bytes = b""

    def __repr__(self) -> str:
        return f"Dot1x({self.method}, {self.identity!r}, …)"

    @property
    def files(self) -> dict[str, bytes]:
        """What goes beside the enrolment file."""
        found = {"802.1x-ca.pem": self.ca, "802.1x.crt.pem": self.certificate}
        return {name: data for name, data in {**found, "802.1x.key.pem": self.key}.items() if data}


@dataclass(frozen=True, slots=True)
class Network:
    """DHCP unless `static`; tagged when there is a `vlan`; `ntp` are the site's own servers.

    `timezone` is the ward's, an IANA name: by it the night begins.
    """

    static: Static | None = None
    vlan: int | None = None
    dot1x: Dot1x | None = None
    ntp: tuple[str, ...] = ()
    timezone: str = ""

    def __post_init__(self) -> None:
        """Raises BadInput."""
        if self.vlan is not None and not 1 <= self.vlan <= _MOST_VLAN:
            raise BadInput(f"VLAN {self.vlan}: choose a number from 1 to {_MOST_VLAN}")
        for server in self.ntp:
            if not _HOST.fullmatch(server):
                raise BadInput(f"'{server}' is no name or address of a time server")
        if self.timezone and not _ZONE.fullmatch(self.timezone):
            raise BadInput(f"'{self.timezone}' is no time zone: write it as Europe/London")
        if self.static is not None:
            _check_static(self.static)
        if self.dot1x is not None:
            _check_dot1x(self.dot1x)

    def to_netplan(self) -> dict[str, Any]:
        """The content of `network-config`."""
        addressing: dict[str, Any] = {"dhcp4": True}
        if self.static is not None:
            addressing = {
                "dhcp4": False,
                "addresses": [self.static.address],
                "routes": [{"to": "default", "via": self.static.via}],
            }
            if self.static.dns:
                addressing["nameservers"] = {"addresses": list(self.static.dns)}
        wire: dict[str, Any] = {"optional": False}
        if self.dot1x is not None:
            wire["auth"] = _auth(self.dot1x)
        if self.vlan is None:
            return {"version": 2, "ethernets": {INTERFACE: {**wire, **addressing}}}
        tagged = {"id": self.vlan, "link": INTERFACE, **addressing}
        return {
            "version": 2,
            "ethernets": {INTERFACE: {**wire, "dhcp4": False}},
            "vlans": {f"vlan{self.vlan}": tagged},
        }


def _auth(dot1x: Dot1x) -> dict[str, Any]:
    files = dot1x.files
    auth: dict[str, Any] = {
        "key-management": "802.1x",
        "method": dot1x.method,
        "identity": dot1x.identity,
    }
    paths = {
        "ca-certificate": "802.1x-ca.pem",
        "client-certificate": "802.1x.crt.pem",
        "client-key": "802.1x.key.pem",
    }
    auth |= {key: f"{BOOT}/{name}" for key, name in paths.items() if name in files}
    if dot1x.password:
        auth["password"] = dot1x.password
    return auth


def _check_static(static: Static) -> None:
    try:
        inside = ipaddress.ip_interface(static.address)
        via = ipaddress.ip_address(static.via)
        for server in static.dns:
            ipaddress.ip_address(server)
    except ValueError as error:
        raise BadInput(f"address: {error}") from error
    if "/" not in static.address:
        raise BadInput(f"'{static.address}': write the address with its network, as 10.1.2.3/24")
    if via not in inside.network:
        raise BadInput(f"{via} is not in the network of {static.address}")


def _check_dot1x(dot1x: Dot1x) -> None:
    if not dot1x.identity:
        raise BadInput("802.1X needs an identity")
    if dot1x.method == "tls":
        if not (dot1x.certificate and dot1x.key):
            raise BadInput("802.1X with tls needs a certificate and its key")
    elif not dot1x.password:
        raise BadInput(f"802.1X with {dot1x.method} needs a password")
    if not dot1x.ca:
        raise BadInput("802.1X needs the CA of the network's server: else anybody could ask")
