"""`tapover ward`: a ward's policy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from contract.directory import EntryKind
from contract.ids import WardId
from contract.policy import Policy
from contract.signing import sha256
from provisioning import entries
from provisioning.cli import console
from provisioning.cli.changing import Desk, How, desk
from provisioning.cli.console import As, AsJson, DryRun, Folder, GatewayAddress, Yes
from provisioning.entries import fresh_salt
from provisioning.errors import BadInput
from provisioning.site import SiteFolder, require_name

app = typer.Typer(no_args_is_help=True, help="A ward's policy.")


@app.command("show")
def show(
    ward: Annotated[str, typer.Argument()],
    folder: Folder,
    operator: As,
    gateway: GatewayAddress,
    as_json: AsJson = False,
) -> None:
    """A ward's policy as it stands; every setting, also those that nobody set."""
    with desk(SiteFolder(folder), operator, gateway) as at:
        settings = _settings(_policy(at, ward))
    lines = (f"{name} = {json.dumps(value)}" for name, value in settings.items())
    console.answer({"ward": ward, "policy": settings}, as_json=as_json, text="\n".join(lines))


@app.command("set")
def set_(
    ward: Annotated[str, typer.Argument()],
    settings: Annotated[list[str], typer.Argument(help="name=value, as `ward show` writes them.")],
    folder: Folder,
    operator: As,
    gateway: GatewayAddress,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Change settings of a ward's policy."""
    with desk(SiteFolder(folder), operator, gateway) as at:
        changed = {**_settings(_policy(at, ward)), **dict(_parsed(one) for one in settings)}
        made = _make(at, ward, changed, How(yes, dry_run, show_all=True))
    console.answer({"ward": ward, **made}, as_json=as_json)


@app.command("policy")
def policy(
    folder: Folder,
    policy: Annotated[Path, typer.Argument(help="JSON file of the policy.")],
    operator: As,
    gateway: GatewayAddress,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Give a ward the policy in a file."""
    entry = entries.read_policy(console.read_file(policy))
    with desk(SiteFolder(folder), operator, gateway) as at:
        made = _publish(at, entry, How(yes, dry_run, show_all=True))
    console.answer({"ward": entry.ward, **made}, as_json=as_json)


def _policy(at: Desk, ward: str) -> Policy:
    """As it stands; a ward that was given none has the defaults."""
    line = at.mirror.entry((EntryKind.POLICY, ward))
    if line is not None:
        return Policy.from_bytes(line)
    return Policy(ward=WardId(require_name(ward, "ward")), salt=fresh_salt())


def _settings(policy: Policy) -> dict[str, Any]:
    return policy.model_dump(mode="json", exclude={"type", "ward", "salt"})


def _parsed(setting: str) -> tuple[str, Any]:
    name, equals, value = setting.partition("=")
    if not equals:
        raise BadInput(f"'{setting}': write name=value")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _make(at: Desk, ward: str, settings: dict[str, Any], how: How) -> dict[str, Any]:
    data = {**settings, "ward": ward, "salt": fresh_salt()}
    return _publish(at, entries.read_policy(json.dumps(data).encode()), how)


def _publish(at: Desk, entry: Policy, how: How) -> dict[str, Any]:
    # Named by what it says: another policy never goes on with this one.
    name = sha256(entry.model_copy(update={"salt": "0" * 32}).to_bytes())[:16]
    return at.change(f"policy-{name}", lambda: [entry], how, "Give the ward this policy?")
