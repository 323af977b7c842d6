"""Lists of terminals to be made: a CSV of hundreds, a line each."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, replace
from typing import Final

from contract.ids import TerminalId, WardId
from provisioning.errors import BadInput
from provisioning.site.folder import require_name, require_terminal_name
from provisioning.terminals.network import Network, Static

COLUMNS: Final = ("terminal", "ward", "address", "via", "dns", "vlan")
"""The first two are needed; `dns` may name several, with blanks between."""
MOST: Final = 2_000
"""More than a hospital orders at once."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A terminal to be made."""

    terminal: TerminalId
    ward: WardId
    network: Network


def wanted(terminal: str, ward: str, network: Network) -> Wanted:
    """Raises BadInput."""
    return Wanted(require_terminal_name(terminal), WardId(require_name(ward, "ward")), network)


def read_list(data: bytes, common: Network) -> list[Wanted]:
    """The lines of a CSV; what a line does not say is as in `common`. Raises BadInput by line."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput("the list is not UTF-8") from error
    rows = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    found: list[Wanted] = []
    try:
        _check_head(rows.fieldnames)
        for row in rows:
            if len(found) >= MOST:
                raise BadInput(f"more than {MOST} terminals in one list")
            try:
                found.append(_wanted(row, common))
            except BadInput as error:
                raise BadInput(f"line {rows.line_num}: {error}") from error
    except csv.Error as error:
        raise BadInput(f"line {rows.line_num}: {error}") from error
    if not found:
        raise BadInput("the list names no terminal")
    names = [one.terminal for one in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise BadInput(f"listed twice: {', '.join(twice)}")
    return found


def _check_head(names: object) -> None:
    if not isinstance(names, list) or not {"terminal", "ward"} <= set(names):
        raise BadInput("its first line must name the columns, `terminal` and `ward` among them")
    if unknown := [str(name) for name in names if name not in COLUMNS]:
        raise BadInput(f"no such column: {', '.join(unknown)}; known are {', '.join(COLUMNS)}")


def _wanted(row: dict[str, str | None], common: Network) -> Wanted:
    if None in row or None in row.values():
        raise BadInput("another number of columns than the first line")
    said = {name: (value or "").strip() for name, value in row.items()}
    network = common
    if address := said.get("address"):
        dns = tuple(said.get("dns", "").split())
        network = replace(network, static=Static(address, said.get("via", ""), dns))
    if vlan := said.get("vlan"):
        if not vlan.isdigit():
            raise BadInput(f"VLAN '{vlan}' is no number")
        network = replace(network, vlan=int(vlan))
    return wanted(said["terminal"], said["ward"], network)
