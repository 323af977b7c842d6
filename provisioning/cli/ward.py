"""`tapover ward`: a ward's policy."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from contract.directory import EntryKind
from contract.ids import WardId
from contract.policy import Policy
from contract.serving import unservable
from contract.signing import sha256
from provisioning.cli import console
from provisioning.cli.changing import Desk, How, desk
from provisioning.cli.console import As, AsJson, DryRun, Folder, GatewayAddress, Yes
from provisioning.directory import policies
from provisioning.directory.administration import PolicyUnservable
from provisioning.directory.entries import fresh_salt
from provisioning.errors import BadInput
from provisioning.site.folder import SiteFolder, require_name

app = typer.Typer(no_args_is_help=True, help="A ward's policy.")
policies_app = typer.Typer(no_args_is_help=True, help="A ward's policy, whole.")
app.add_typer(policies_app, name="policy")


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
        given = dict(_parsed(one) for one in settings)
        changed = policies.merged(_policy(at, ward), given, whole=False)
        made = _make(at, ward, changed, How(yes, dry_run, show_all=True))
    console.answer({"ward": ward, **made}, as_json=as_json)


@policies_app.command("show")
def show_in_words(
    ward: Annotated[str, typer.Argument()],
    folder: Folder,
    operator: As,
    gateway: GatewayAddress,
    as_json: AsJson = False,
) -> None:
    """What the policy says, in words: every setting, and what it means."""
    with desk(SiteFolder(folder), operator, gateway) as at:
        found = _policy(at, ward)
    words = policies.in_words(found)
    result = {"ward": ward, "policy": _settings(found), "words": words}
    console.answer(result, as_json=as_json, text="\n".join(words))


@policies_app.command("set")
def set_from_file(
    ward: Annotated[str, typer.Argument()],
    file: Annotated[Path, typer.Argument(help="Settings by name: JSON, or TOML (.toml).")],
    folder: Folder,
    operator: As,
    gateway: GatewayAddress,
    *,
    whole: Annotated[
        bool, typer.Option("--whole", help="What the file leaves out goes to its default.")
    ] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Give a ward the settings in a file, the difference first; the others stay as they are."""
    given = policies.read_file(file, console.read_file(file))
    with desk(SiteFolder(folder), operator, gateway) as at:
        settings = policies.merged(_policy(at, ward), given, whole=whole)
        made = _make(at, ward, settings, How(yes, dry_run, show_all=True))
    console.answer({"ward": ward, **made}, as_json=as_json)


@policies_app.command("explain")
def explain(
    setting: Annotated[str, typer.Argument(help="One setting; all when left out.")] = "",
    as_json: AsJson = False,
) -> None:
    """Say what each setting means, and what the contract allows."""
    found = [
        one for one in policies.explain() if setting in ("", one.name, one.name.partition(".")[0])
    ]
    if not found:
        raise policies.PolicyWrong(f"{setting}: there is no such setting")
    lines = [
        f"{one.name}: {one.meaning}\n    may be {one.bounds}"
        + (f"; {one.default} where nobody sets it" if one.default else "")
        for one in found
    ]
    rows = [asdict(one) for one in found]
    console.answer({"settings": rows}, as_json=as_json, text="\n".join(lines))


def _policy(at: Desk, ward: str) -> Policy:
    """As it stands; a ward that was given none has the defaults."""
    line = at.mirror.entry((EntryKind.POLICY, ward))
    if line is not None:
        return Policy.from_bytes(line)
    return Policy(ward=WardId(require_name(ward, "ward")), salt=fresh_salt())


def _settings(policy: Policy) -> dict[str, Any]:
    return policies.settings_of(policy)


def _parsed(setting: str) -> tuple[str, Any]:
    name, equals, value = setting.partition("=")
    if not equals:
        raise BadInput(f"'{setting}': write name=value")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _make(at: Desk, ward: str, settings: dict[str, Any], how: How) -> dict[str, Any]:
    entry = policies.require(settings, _policy(at, ward), fresh_salt())
    # Named by what it says: another policy never goes on with this one.
    name = sha256(entry.model_copy(update={"salt": "0" * 32}).to_bytes())[:16]
    _foresee(at, entry)
    return at.change(f"policy-{name}", lambda: [entry], how, "Give the ward this policy?")


def _foresee(at: Desk, entry: Policy) -> None:
    """Raises PolicyUnservable before anything is shown or sent, as far as it is known here."""
    known = at.administration.get("/v1/fleet").json().get("terminals", [])
    objections = unservable(entry, policies.interfaces_of(known, entry.ward))
    if objections:
        words = "; ".join(f"{each.field}: {each.words}" for each in objections)
        raise PolicyUnservable(f"ward {entry.ward} cannot serve this policy: {words}")
