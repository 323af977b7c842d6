"""`tapover card`: cards and their holders. This module: what puts a card into somebody's hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from contract.directory import EntryKind, Slot
from contract.ids import HolderId
from provisioning.cards import batch as batches
from provisioning.cards import care as card_care
from provisioning.cards import enrol as enrol_card
from provisioning.cards import giving, pins, standing
from provisioning.cards.desk import BlankCard, Desk, OwnCard
from provisioning.cards.making import undo_card
from provisioning.cli import card_spare, card_standing, changing, console
from provisioning.cli.console import As, AsJson, DryRun, Folder, GatewayAddress, PinFd, PinFile, Yes
from provisioning.cli.publisher import Publisher
from provisioning.directory import entries, ledger
from provisioning.directory.entries import Holder
from provisioning.errors import BadInput, GatewayAway
from provisioning.site.card_keys import CardKeys, CardMaster
from provisioning.site.folder import SiteFolder
from runtime.clock import SystemClock

if TYPE_CHECKING:
    from hardware.piv import Pin
    from provisioning.cards.readers import DeskReader

app = typer.Typer(no_args_is_help=True, help="Cards and their holders.")
card_standing.add_to(app)
card_spare.add_to(app)

Reader = Annotated[str, typer.Option("--reader", help="Part of the reader's name.")]
MasterFd = Annotated[
    int | None, typer.Option(help="Read the card master key from this open file descriptor.")
]
MasterFile = Annotated[
    Path | None, typer.Option(help="The card master key, where it is not kept in the folder.")
]
HolderFile = Annotated[Path, typer.Option(help="JSON file: holder, name, positions.")]
_LIST_CAP = 4 * 1024 * 1024
"""A list of ten thousand holders is half of it."""


@app.command("issue")
def issue(
    *,
    folder: Folder,
    operator: As,
    gateway: GatewayAddress,
    holder: Annotated[Path | None, typer.Option(help="JSON file: holder, name, positions.")] = None,
    batch: Annotated[
        Path | None, typer.Option(help="A holder's JSON a line: cards one after another.")
    ] = None,
    letters: Annotated[
        Path | None, typer.Option(help="With --batch: draw the PINs, and write them here.")
    ] = None,
    reader: Reader = "",
    pin_fd: PinFd = None,
    pin_file: PinFile = None,
    master_fd: MasterFd = None,
    master_file: MasterFile = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Personalise the blank card in the reader for a holder, and publish it.

    A card that was torn away before is gone on with.
    """
    if (holder is None) == (batch is None):
        raise BadInput("say --holder for one card, or --batch for many")
    desk, at = _desk(folder, master_fd, master_file), _reader(reader)
    send = Publisher(desk.folder, operator, gateway).send
    if batch is not None:
        holders = batches.read_holders(console.read_file(batch, _LIST_CAP))
        _issue_batch(desk, at, send, holders, letters, dry_run=dry_run, as_json=as_json)
        return
    assert holder is not None  # noqa: S101 - one of the two
    who = entries.read_holder(console.read_file(holder))
    if dry_run:
        _would_write(desk, at, f"made {who.name.full}'s", as_json=as_json)
        return
    _tell_of_others(desk.folder, operator, gateway, who)
    pin = _new_pin("First PIN", pin_fd, pin_file, who.id)
    given = at.with_card(lambda channel: giving.issue(desk, send, channel, who, pin))
    console.words(f"The card is {who.name.full}'s.")
    console.answer(given.to_json(), as_json=as_json)


@app.command("enrol")
def enrol(
    *,
    folder: Folder,
    holder: HolderFile,
    operator: As,
    gateway: GatewayAddress,
    reader: Reader = "",
    pin_fd: PinFd = None,
    pin_file: PinFile = None,
    no_pin: Annotated[
        bool, typer.Option("--no-pin", help="Register 9E alone: taps, and never a PIN.")
    ] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Register a PIV card that others issued; nothing is written to it."""
    site, clock, at = SiteFolder(folder), SystemClock(), _reader(reader)
    who = entries.read_holder(console.read_file(holder))
    with changing.desk(site, operator, gateway) as office:
        card = at.with_card(
            lambda channel: enrol_card.enrol_card(
                channel,
                lambda: None if no_pin else console.pin("The card's PIN", fd=pin_fd, file=pin_file),
                lambda guid, keys: standing.known(office.mirror, guid, keys),
                clock.monotonic_ns,
            )
        )
    entitlement = entries.entitle(card, who, clock.wall_ms())
    slots = " and ".join(f"{one.slot} ({one.algorithm})" for one in card.credentials)
    console.words(f"The card proved {slots}.")
    if card.credential(Slot.CARD_AUTHENTICATION) is None:
        console.words("It has no key for a tap (9E): terminals ask for its PIN at each sign-on.")
        console.words("A copy of what it shows openly could be given that PIN: see docs/cards.md.")
    if dry_run:
        given = giving.Given(entitlement)
    else:
        given = giving.give(Desk.open(site, clock), _send(site, operator, gateway), entitlement)
        console.words(f"The card is {who.name.full}'s.")
    console.answer(given.to_json(), as_json=as_json)


@app.command("replace")
def replace(
    *,
    folder: Folder,
    who: card_standing.Who,
    operator: As,
    gateway: GatewayAddress,
    lost: Annotated[
        bool, typer.Option("--lost", help="Lost or stolen: an open session is locked too.")
    ] = False,
    reader: Reader = "",
    pin_fd: PinFd = None,
    pin_file: PinFile = None,
    master_fd: MasterFd = None,
    master_file: MasterFile = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Suspend a card at once, issue the blank one in the reader, and end the old one."""
    desk = _desk(folder, master_fd, master_file)
    with changing.desk(desk.folder, operator, gateway) as office:
        old = standing.find(office.mirror, desk.folder, who)
    holder = standing.holder_of(old)
    if dry_run:
        _would_write(desk, _reader(reader), f"{holder.name.full}'s new one", as_json=as_json)
        return
    send = Publisher(desk.folder, operator, gateway).send
    # Before anything that could fail or wait: from now on the old card opens nothing.
    old = giving.withdraw(send, old, desk.clock.wall_ms(), lost=lost)
    console.words(f"Card {old.guid} of {holder.name.full} is {old.status}.")
    pin = _new_pin("First PIN of the new card", pin_fd, pin_file, holder.id)
    given = _reader(reader).with_card(lambda card: giving.replace(desk, send, card, old, pin))
    console.words(f"The new card is {holder.name.full}'s.")
    console.answer({**given.to_json(), "replaces": old.guid}, as_json=as_json)


@app.command("unlock")
def unlock(
    *,
    folder: Folder,
    reader: Reader = "",
    pin_fd: PinFd = None,
    pin_file: PinFile = None,
    master_fd: MasterFd = None,
    master_file: MasterFile = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Give the card in the reader, whose PIN is blocked, a new PIN; its PUK is replaced."""
    desk, at = _desk(folder, master_fd, master_file), _reader(reader)
    if dry_run:
        _would_write(desk, at, "given a new PIN", as_json=as_json)
        return
    holder = at.with_card(lambda channel: OwnCard.required(desk, channel).record.holder)
    pin = _new_pin("New PIN", pin_fd, pin_file, holder)
    card = at.with_card(lambda channel: card_care.unlock_card(desk, channel, pin))
    console.words("The card has its new PIN, and all its tries.")
    console.answer({"guid": card.guid, "pin_gated": card.pin_gated}, as_json=as_json)


@app.command("renew")
def renew(
    *,
    folder: Folder,
    operator: As,
    gateway: GatewayAddress,
    reader: Reader = "",
    pin_fd: PinFd = None,
    pin_file: PinFile = None,
    master_fd: MasterFd = None,
    master_file: MasterFile = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Prove the card in the reader once more, and put off its end by three years.

    A card of ours gets new certificates; one that others issued is not written to.
    """
    desk, at = _desk(folder, master_fd, master_file), _reader(reader)
    guid = at.with_card(lambda channel: card_care.guid_of(channel, desk.clock.monotonic_ns))
    with changing.desk(desk.folder, operator, gateway) as office:
        entitlement = standing.find(office.mirror, desk.folder, guid)
    pin = console.pin("The card's PIN", fd=pin_fd, file=pin_file)
    proved = at.with_card(
        lambda channel: card_care.renew(desk, channel, entitlement, pin, dry_run=dry_run)
    )
    longer = standing.extend(entitlement, proved, desk.clock.wall_ms())
    if dry_run:
        given = giving.Given(longer)
    else:
        given = giving.give(desk, _send(desk.folder, operator, gateway), longer)
    result = {**given.to_json(), "not_after_ms": longer.not_after_ms}
    console.answer(result, as_json=as_json)


@app.command("undo")
def undo(
    *,
    folder: Folder,
    reader: Reader = "",
    master_fd: MasterFd = None,
    master_file: MasterFile = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Make a card blank again that was begun and never given to its holder."""
    desk, at = _desk(folder, master_fd, master_file), _reader(reader)
    console.confirm("The keys on the card in the reader will be lost. Go on?", yes=yes)
    guid = at.with_card(lambda channel: undo_card(desk, channel))
    console.words("The card is blank.")
    if ledger.knows(desk.folder, EntryKind.ENTITLEMENT, guid):
        console.words(f"Its entitlement may be published already: tapover card revoke {guid}")
    console.answer({"guid": guid, "blank": True}, as_json=as_json)


def _issue_batch(
    desk: Desk,
    at: DeskReader,
    send: giving.Send,
    holders: Sequence[Holder],
    letters: Path | None,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    if dry_run:
        given = batches.with_cards(desk)
        waiting = [one.id for one in holders if one.id not in given]
        console.answer({"would_issue": waiting}, as_json=as_json)
        return

    def asked(holder: Holder) -> Pin:
        return _new_pin(f"First PIN of {holder.name.full}", None, None, holder.id)

    pin_for = asked if letters is None else batches.PinLetters(letters).pin_for
    made = batches.Batch(desk, at, send, pin_for, console.words).run(holders)
    issued = [{"guid": one.guid, "holder": one.holder} for one in made]
    console.answer({"issued": issued, "holders": len(holders)}, as_json=as_json)


def _would_write(desk: Desk, at: DeskReader, what: str, *, as_json: bool) -> None:
    """What a card in the reader is, for --dry-run. Raises CardUnfit for one that others made."""
    card = at.with_card(lambda channel: OwnCard.seen(desk, channel))
    if isinstance(card, BlankCard):
        console.answer({"card": "blank", "would_be": what}, as_json=as_json)
        return
    told = {"card": card.record.stage.value, "guid": card.guid, "holder": card.record.holder}
    console.answer({**told, "would_be": what}, as_json=as_json)


def _tell_of_others(site: SiteFolder, operator: str, gateway: str, holder: Holder) -> None:
    """A second card is allowed, and worth a word. Without a gateway there is none."""
    try:
        with changing.desk(site, operator, gateway) as at:
            others = standing.in_use(at.mirror, holder.id)
    except GatewayAway:
        return
    for one in others:
        console.words(f"{holder.name.full} has card {one.guid} already ({one.status}).")


def _new_pin(what: str, fd: int | None, file: Path | None, holder: HolderId) -> Pin:
    return pins.choose(console.secret(what, fd=fd, file=file, twice=True), holder)


def _desk(folder: Path, master_fd: int | None, master_file: Path | None) -> Desk:
    site, clock = SiteFolder(folder), SystemClock()
    if master_fd is None and master_file is None:
        return Desk.open(site, clock)
    master = CardMaster(console.secret("Card master key", fd=master_fd, file=master_file))
    return Desk.open(site, clock, CardKeys.load(site.authority, master))


def _reader(part_of_name: str) -> DeskReader:
    from provisioning.cards.readers import DeskReader  # noqa: PLC0415 - loads the PC/SC driver

    return DeskReader.meant(part_of_name, SystemClock())


def _send(site: SiteFolder, operator: str, gateway: str) -> giving.Send:
    return Publisher(site, operator, gateway).send
