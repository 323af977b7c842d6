"""Options that say how a terminal reaches its network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from contract.wire import Record, WireError
from provisioning.cli import console
from provisioning.errors import BadInput
from provisioning.terminals.network import Dot1x, Network, Static

Address = Annotated[str, typer.Option(help="A fixed address, as 10.1.2.3/24; else DHCP.")]
Via = Annotated[str, typer.Option(help="The way out of a fixed address's network.")]
Dns = Annotated[list[str] | None, typer.Option(help="A name server, with a fixed address.")]
Vlan = Annotated[int | None, typer.Option(help="The tag of its VLAN.")]
Ntp = Annotated[list[str] | None, typer.Option(help="A time server of the site's own.")]
Timezone = Annotated[str, typer.Option(help="The ward's, as Europe/London: when night is.")]
Dot1xFile = Annotated[
    Path | None,
    typer.Option("--dot1x", help="JSON file: method, identity, password or files, ca."),
]


class Dot1xSettings(Record):
    """How an operator writes wired 802.1X down; files are beside it, or absolute."""

    method: Literal["peap", "ttls", "tls"]
    identity: str
    ca: str
    password: str = ""
    certificate: str = ""
    key: str = ""

    def __repr__(self) -> str:
        return f"Dot1xSettings({self.method}, …)"

    __str__ = __repr__


def network(
    address: str,
    via: str,
    dns: list[str] | None,
    vlan: int | None,
    ntp: list[str] | None,
    dot1x: Path | None,
    timezone: str,
) -> Network:
    """Raises BadInput."""
    if not address and (via or dns):
        raise BadInput("--via and --dns belong to a fixed --address")
    static = Static(address, via, tuple(dns or ())) if address else None
    return Network(static, vlan, _dot1x(dot1x) if dot1x else None, tuple(ntp or ()), timezone)


def _dot1x(path: Path) -> Dot1x:
    try:
        said = Dot1xSettings.from_bytes(console.read_file(path))
    except WireError as error:
        raise BadInput(f"{path}: {error}") from error

    def beside(name: str) -> bytes:
        return console.read_file(path.parent / name) if name else b""

    return Dot1x(
        method=said.method,
        identity=said.identity,
        password=said.password,
        ca=beside(said.ca),
        certificate=beside(said.certificate),
        key=beside(said.key),
    )
