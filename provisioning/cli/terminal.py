"""`tapover terminal`: ward terminals, from the boot partition to the cupboard."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from contract.administration import Decision
from provisioning.cli import console, network_options
from provisioning.cli.changing import How, desk
from provisioning.cli.console import As, AsJson, DryRun, Folder, GatewayAddress, Yes
from provisioning.errors import BadInput
from provisioning.site.folder import SiteFolder
from provisioning.terminals import fleet
from provisioning.terminals import lists as terminal_list
from provisioning.terminals.fleet import Addresses
from provisioning.terminals.lists import Wanted
from provisioning.terminals.network import Network
from runtime.clock import SystemClock

app = typer.Typer(no_args_is_help=True, help="Ward terminals.")
Name = Annotated[str, typer.Argument(help="The terminal's name.")]
_LIST_CAP = 1024 * 1024
"""Two thousand lines of two hundred bytes, with room."""


@app.command("add")
def add(  # noqa: PLR0917 - Typer's options are its parameters
    folder: Folder,
    operator: As,
    gateway: GatewayAddress,
    terminal: Annotated[str | None, typer.Argument(help="One terminal's name.")] = None,
    ward: Annotated[str | None, typer.Option(help="The ward it stands on.")] = None,
    csv: Annotated[
        Path | None, typer.Option(help="Many: terminal, ward, address, via, dns, vlan.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where the boot folders are made; else in the site's.")
    ] = None,
    host: Annotated[str, typer.Option(help="How devices call the gateway.")] = "",
    broker_host: Annotated[str, typer.Option(help="... and the broker, if otherwise.")] = "",
    address: network_options.Address = "",
    via: network_options.Via = "",
    dns: network_options.Dns = None,
    vlan: network_options.Vlan = None,
    ntp: network_options.Ntp = None,
    timezone: network_options.Timezone = "",
    dot1x: network_options.Dot1xFile = None,
    again: Annotated[
        bool, typer.Option("--again", help="Also for one in use: the newcomer replaces it.")
    ] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Grant terminals, and make a folder for the boot partition of each.

    A list goes on where it was cut off.
    """
    common = network_options.network(address, via, dns, vlan, ntp, dot1x, timezone)
    wanted, where = _wanted(terminal, ward, csv, common), out or folder / "boot"
    with desk(SiteFolder(folder), operator, gateway) as at:
        if not again:
            fleet.require_free(at.mirror, wanted)
        for one in wanted:
            console.words(f"  + {one.terminal} on ward {one.ward}: {where / one.terminal}")
        names = [one.terminal for one in wanted]
        if dry_run:
            console.answer({"would_make": names}, as_json=as_json)
            return
        console.confirm(f"Let {len(wanted)} terminal(s) enrol within 72 hours?", yes=yes)
        host = host or at.administration.gateway.host
        addresses = Addresses(host, broker_host or host)
        now_ms = SystemClock().wall_ms()
        maker = fleet.Maker(at.folder, at.administration, where, addresses, now_ms)
        with console.progress("Boot folders", len(wanted)) as done:
            made = list(maker.make(wanted, done))
    console.words("Each folder holds a token: keep it like a key, and remove it after use.")
    folders = {one.terminal: str(one.folder) for one in made}
    kept = [one.terminal for one in made if one.kept]
    console.answer({"folders": folders, "kept": kept}, as_json=as_json)


@app.command("list")
def list_(folder: Folder, operator: As, gateway: GatewayAddress, as_json: AsJson = False) -> None:
    """Every terminal: ward, state, version, when it was last heard."""
    with desk(SiteFolder(folder), operator, gateway) as at:
        rows = fleet.listed(at.administration)
    lines = [_line(row) for row in rows] or ["no terminals"]
    console.answer({"terminals": rows}, as_json=as_json, text="\n".join(lines))


@app.command("show")
def show(
    folder: Folder, terminal: Name, operator: As, gateway: GatewayAddress, as_json: AsJson = False
) -> None:
    """All that the site keeps of one: status, certificates, tokens."""
    with desk(SiteFolder(folder), operator, gateway) as at:
        found = fleet.shown(at.administration, terminal)
    console.answer(found, as_json=as_json)


@app.command("move")
def move(
    folder: Folder,
    terminal: Name,
    ward: Annotated[str, typer.Option(help="The ward where it stands now.")],
    operator: As,
    gateway: GatewayAddress,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Put a terminal onto another ward."""
    with desk(SiteFolder(folder), operator, gateway) as at:
        entry = fleet.moved(at.mirror, terminal, ward)
        how = How(yes, dry_run, show_all=True)
        name = f"move-{entry.terminal}-{entry.ward}"
        made = at.change(name, lambda: [entry], how, f"Move {terminal} to ward {ward}?")
    console.answer({"terminal": terminal, "ward": ward, **made}, as_json=as_json)


@app.command("retire")
def retire(
    folder: Folder,
    terminal: Name,
    operator: As,
    gateway: GatewayAddress,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Take a terminal out of use: certificates revoked, its connection ended."""
    with desk(SiteFolder(folder), operator, gateway) as at:
        entry = fleet.retired(at.mirror, terminal)
        how = How(yes, dry_run, show_all=True)
        name = f"retire-{entry.terminal}"
        made = at.change(name, lambda: [entry], how, f"Retire {terminal} for good?")
    console.answer({"terminal": terminal, **made}, as_json=as_json)


@app.command("approve")
def approve(
    folder: Folder,
    operator: As,
    gateway: GatewayAddress,
    letters: Annotated[
        str | None, typer.Argument(help="The eight letters on the glass; none: who waits.")
    ] = None,
    refuse: Annotated[bool, typer.Option("--refuse", help="Turn the device away.")] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Let in a device that shows eight letters."""
    with desk(SiteFolder(folder), operator, gateway) as at:
        if letters is None:
            devices = fleet.waiting(at.administration)
            lines = [f"{one.code}  {one.terminal}  from {one.address}" for one in devices]
            text = "\n".join(lines or ["nobody waits"])
            console.answer(
                {"waiting": [one.to_json() for one in devices]}, as_json=as_json, text=text
            )
            return
        device = fleet.find_waiting(at.administration, letters)
        console.words(f"{device.code}: says it is {device.terminal}, from {device.address}")
        if dry_run:
            console.answer({**device.to_json(), "decided": None}, as_json=as_json)
            return
        decision = Decision.REFUSE if refuse else Decision.APPROVE
        verb = "Turn it away" if refuse else "Let it in; do you see these letters on its glass"
        console.confirm(f"{verb}?", yes=yes)
        made = fleet.decide(at.administration, device, decision, SystemClock().wall_ms())
    console.answer({**device.to_json(), "decided": decision.value, **made}, as_json=as_json)


def _wanted(
    terminal: str | None, ward: str | None, csv: Path | None, common: Network
) -> list[Wanted]:
    if csv is not None:
        if terminal is not None or ward is not None:
            raise BadInput("give a terminal and --ward, or --csv")
        return terminal_list.read_list(console.read_file(csv, _LIST_CAP), common)
    if terminal is None or ward is None:
        raise BadInput("give a terminal and --ward, or --csv")
    return [terminal_list.wanted(terminal, ward, common)]


def _line(row: dict[str, Any]) -> str:
    status = row.get("status") or {}
    seen = row.get("seen_ms")
    when = "never heard" if seen is None else f"heard {_date(seen)}"
    parts = (row.get("terminal"), row.get("ward"), row.get("state"), status.get("state"))
    said = "  ".join(str(part or "-") for part in parts)
    readers, rtc = status.get("readers"), status.get("rtc")
    chip = "clock chip unknown" if rtc is None else f"clock chip {'right' if rtc else 'unchecked'}"
    how_many = "readers unknown" if readers is None else f"{readers} reader(s)"
    kinds = f" ({', '.join(status['interfaces'])})" if status.get("interfaces") else ""
    pin = "  no PIN can be given there, and its ward's policy wants one" * bool(row.get("unserved"))
    return f"{said}  {status.get('software', '-')}  {how_many}{kinds}  {chip}  {when}{pin}"


def _date(ms: int) -> str:
    return datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
