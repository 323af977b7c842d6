"""`tapover directory`: what stands, what stood, what waits; and one command back to any version."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from contract.administration import Decision
from contract.directory import EntryKind, parse_entry
from contract.ids import Digest
from provisioning.cli import console
from provisioning.cli.changing import All, Desk, How, as_json, desk, steps
from provisioning.cli.console import As, AsJson, DryRun, Folder, GatewayAddress, Yes
from provisioning.directory import plan, review, sets
from provisioning.directory import recover as recovering
from provisioning.directory import restore as restoring
from provisioning.directory.administration import findings_of, in_words
from provisioning.directory.difference import SHOWN, Difference
from provisioning.directory.mirror import Mirror
from provisioning.errors import BadInput, NotThere
from provisioning.site.folder import SiteFolder
from runtime.clock import SystemClock

app = typer.Typer(no_args_is_help=True, help="The directory: its versions, and what waits.")
Json = AsJson
Subject = Annotated[str, typer.Argument(help="Digest of what waits, as it was told.")]
_DIGITS = 64


@app.command("history")
def history(
    folder: Folder,
    operator: As,
    gateway: GatewayAddress,
    last: Annotated[int, typer.Option(help="How many versions.", min=1)] = 20,
    json_: Json = False,
) -> None:
    """Every version: when, by whom, how many entries."""
    with desk(SiteFolder(folder), operator, gateway) as at:
        found = at.mirror.history(last)
    rows = [
        {
            "version": str(one.version),
            "at": datetime.fromtimestamp(one.issued_ms / 1000, UTC).isoformat("T", "seconds"),
            "operator": one.operator,
            "entries": one.entries,
        }
        for one in found
    ]
    lines = (f"{r['version']:>8}  {r['at']}  {r['operator'] or '-'}  {r['entries']}" for r in rows)
    console.answer({"versions": rows}, as_json=json_, text="\n".join(lines))


@app.command("show")
def show(
    kind: Annotated[EntryKind, typer.Argument()],
    name: Annotated[str, typer.Argument(help="GUID, terminal or ward.")],
    folder: Folder,
    operator: As,
    gateway: GatewayAddress,
    version: Annotated[str, typer.Option(help="In this version; now when left out.")] = "",
    json_: Json = False,
) -> None:
    """One entry, now or in an earlier version."""
    with desk(SiteFolder(folder), operator, gateway) as at:
        when = at.mirror.parse_version(version) if version else at.mirror.head
        line = at.mirror.entry((kind, name), when)
    if line is None:
        raise NotThere(f"there is no {kind} {name} in version {when}")
    entry: dict[str, Any] = parse_entry(line).model_dump(mode="json")
    console.answer(
        {"version": str(when), "entry": entry}, as_json=json_, text=json.dumps(entry, indent=1)
    )


@app.command("diff")
def diff(
    folder: Folder,
    operator: As,
    gateway: GatewayAddress,
    old: Annotated[str, typer.Option("--from", help="Version.")],
    new: Annotated[str, typer.Option("--to", help="Version; the newest when left out.")] = "",
    show_all: All = False,
    json_: Json = False,
) -> None:
    """What stands otherwise in one version than in another."""
    with desk(SiteFolder(folder), operator, gateway) as at:
        first = at.mirror.parse_version(old)
        last = at.mirror.parse_version(new) if new else at.mirror.head
        found = Difference(None if show_all else SHOWN)
        for changed in at.mirror.difference(first, last):
            found.add(changed)
    result = {"from": str(first), "to": str(last), **found.to_json(), "lines": found.lines}
    console.answer(result, as_json=json_, text="\n".join(found.to_words()))


@app.command("restore")
def restore(
    version: Annotated[str, typer.Option(help="The version to return to.")],
    folder: Folder,
    operator: As,
    gateway: GatewayAddress,
    show_all: All = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    json_: Json = False,
) -> None:
    """Make the newest version say what an earlier one said; a new change, shown first."""
    stays: list[str] = []
    with desk(SiteFolder(folder), operator, gateway) as at:
        wanted = at.mirror.parse_version(version)
        made = at.change(
            f"restore-{wanted}",
            lambda: restoring.entries_of(at.mirror, wanted, stays),
            How(yes, dry_run, show_all),
            f"Return to what version {wanted} said?",
        )
    for line in stays:
        console.words(f"Stays as it is: {line}.")
    console.answer({"restored": str(wanted), "stays": stays, **made}, as_json=json_)


@app.command("recover")
def recover(
    folder: Folder,
    operator: As,
    gateway: GatewayAddress,
    accept_lost: Annotated[
        bool, typer.Option(help="Go on though terminals hold versions that no copy here has.")
    ] = False,
    show_all: All = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    json_: Json = False,
) -> None:
    """After a back-up: send again what the directory has lost since; the first change of all."""
    site = SiteFolder(folder)
    recovering.set_aside(site)
    with desk(site, operator, gateway) as at, closing_of(site) as before:
        if not recovering.is_unsettled(at.administration):
            raise BadInput("this gateway's directory is settled: there is nothing to recover")
        held = recovering.held_by_terminals(at.administration)
        known = max(at.mirror.head, before.head if before else at.mirror.head)
        words = f"The back-up had {at.mirror.head}, the copy here {known}, terminals hold {held}."
        console.words(words)
        if held > known and not accept_lost and not dry_run:
            raise recovering.ChangesLost(f"{words} {held.n - known.n} changes are in no copy here")
        entries = recovering.lost_entries(site, before, at.mirror)
        with plan.Plan(at.mirror, entries, None if show_all else SHOWN) as planned:
            for line in planned.difference.to_words():
                console.words(line)
            result: dict[str, Any] = {
                "restored": str(at.mirror.head),
                "copy": str(known),
                "terminals": str(held),
                "difference": planned.difference.to_json(),
            }
            if dry_run:
                console.answer({**result, "changed": False}, as_json=json_)
                return
            console.confirm("Send it, as the directory's first change from now on?", yes=yes)
            now_ms = SystemClock().wall_ms()
            result |= recovering.send(at.administration, planned, at.mirror, now_ms)
    recovering.done(site)
    console.answer(result, as_json=json_)


@contextmanager
def closing_of(site: SiteFolder) -> Iterator[Mirror | None]:
    """The copy from before, where there is one."""
    before = recovering.copy_before(site)
    try:
        yield before
    finally:
        if before is not None:
            before.close()


@app.command("waiting")
def waiting(folder: Folder, operator: As, gateway: GatewayAddress, json_: Json = False) -> None:
    """Changes that wait for a second operator, and sets under way."""
    with desk(SiteFolder(folder), operator, gateway) as at:
        found = review.waiting(at.administration)
    lines = (
        f"{one['subject']}  {one['state']}  {one['operator']}:"
        f" {in_words(findings_of(one['findings']))}"
        for one in found
    )
    console.answer({"waiting": found}, as_json=json_, text="\n".join(lines) or "nothing waits")


@app.command("approve")
def approve(
    subject: Subject,
    folder: Folder,
    operator: As,
    gateway: GatewayAddress,
    show_all: All = False,
    yes: Yes = False,
    json_: Json = False,
) -> None:
    """Say yes, as a second operator, to a change that stopped; shown first, then carried out."""
    digest = _digest(subject)
    with desk(SiteFolder(folder), operator, gateway) as at:
        held = review.fetch(at.administration, digest)
        found = Difference(None if show_all else SHOWN)
        for changed in review.changes(at.administration, at.mirror, held):
            found.add(changed)
        for line in [*found.to_words(), f"{held.operator} asks; {in_words(held.findings)}."]:
            console.words(line)
        console.confirm("Sign your approval?", yes=yes)
        result = _approved(at, digest, held.requests)
    console.answer({**result, "difference": found.to_json()}, as_json=json_)


@app.command("refuse")
def refuse(
    subject: Subject, folder: Folder, operator: As, gateway: GatewayAddress, json_: Json = False
) -> None:
    """Say no to what waits, or take back what you asked for yourself."""
    digest = _digest(subject)
    with desk(SiteFolder(folder), operator, gateway) as at:
        now_ms = SystemClock().wall_ms()
        found = sets.decide(at.administration, digest, Decision.REFUSE, now_ms)
    console.answer({"subject": digest, "state": found.get("state")}, as_json=json_)


def _approved(at: Desk, digest: Digest, requests: int) -> dict[str, Any]:
    now_ms = SystemClock().wall_ms()
    found = sets.decide(at.administration, digest, Decision.APPROVE, now_ms)
    result: dict[str, Any] = {"subject": digest, "state": found.get("state")}
    if found.get("version"):
        result["version"] = found["version"]
    if found.get("state") == "released":
        with steps("Carrying out", 2 * requests) as advance:
            last = sets.follow(at.administration, digest, advance)
        result |= {"state": "done", "version": as_json(last) if last else None}
    return result


def _digest(text: str) -> Digest:
    if len(text) != _DIGITS or not set(text) <= set("0123456789abcdef"):
        raise BadInput(f"'{text[:80]}' is no digest: write its 64 digits as they were told")
    return Digest(text)
