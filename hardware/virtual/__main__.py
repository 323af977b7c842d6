"""``python -m hardware.virtual``: make a virtual card and tap it by hand, or serve a box of them.

Ends with 0, with 1 when a card or reader is not there, with 2 for words it does not understand.
"""
# ruff: noqa: T201 - prints for a person

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event, Thread

from hardware.apdu import HardwareError, describe
from hardware.virtual.behaviour import PROFILES, Behaviour
from hardware.virtual.box import Box, BoxServer
from hardware.virtual.card import Card
from hardware.virtual.faults import WORDS, parse_faults
from hardware.virtual.names import CERTIFICATE_OF, Access, Algorithm, Ins, PinPolicy, Slot
from hardware.virtual.powered import PoweredCard
from hardware.virtual.sample import personalised
from hardware.virtual.vpcd import VirtualReader

_ALGORITHMS = {"p256": Algorithm.ECC_P256, "rsa2048": Algorithm.RSA_2048}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit status."""
    arguments = _parser().parse_args(argv)
    run: Callable[[argparse.Namespace], None] = arguments.run
    try:
        run(arguments)
    except HardwareError as error:
        print(f"{error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m hardware.virtual",
        description="Virtual PIV cards for a real pcscd with vsmartcard's virtual reader. "
        "New cards have the well-known PIN 123456 and PUK 12345678; they are test material.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    new = commands.add_parser("new", help="make a card in a new file")
    new.add_argument("card", type=Path, metavar="CARDFILE")
    new.add_argument("--personalised", action="store_true", help="with GUID, keys, certificates")
    new.add_argument("--algorithm", choices=_ALGORITHMS, default="p256")
    new.add_argument("--ungated-9a", action="store_true", help="its 9A signs without a PIN")
    new.add_argument("--clone-of", type=Path, metavar="CARDFILE", help="same GUID, other keys")
    new.set_defaults(run=_new)
    show = commands.add_parser("show", help="say what is on a card, without its secrets")
    show.add_argument("card", type=Path, metavar="CARDFILE")
    show.set_defaults(run=_show)
    tap = commands.add_parser("tap", help="hold a card to a reader for a moment")
    _add_visit(tap)
    tap.add_argument("--hold", type=float, default=1.0, metavar="SECONDS", help="default 1.0")
    tap.set_defaults(run=_tap)
    insert = commands.add_parser("insert", help="leave a card in a reader until Enter is pressed")
    _add_visit(insert)
    insert.set_defaults(run=_insert)
    faults = commands.add_parser("faults", help="list what a card can do wrong")
    faults.set_defaults(run=_faults)
    box = commands.add_parser("box", help="serve cards to a driver over a Unix socket")
    box.add_argument("--socket", type=Path, required=True, metavar="PATH")
    box.set_defaults(run=_box)
    return parser


def _add_visit(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("card", type=Path, metavar="CARDFILE")
    parser.add_argument(
        "--reader-port", type=int, required=True, metavar="N", help="TCP port of the virtual reader"
    )
    parser.add_argument("--profile", choices=PROFILES, default="instant", help="how slow it is")
    parser.add_argument(
        "--access", choices=[one.value for one in Access], default=Access.CONTACT.value
    )
    parser.add_argument(
        "--fault", action="append", default=[], metavar="FAULT", help="see the command 'faults'"
    )


def _new(arguments: argparse.Namespace) -> None:
    path: Path = arguments.card
    if arguments.clone_of is not None:
        clone = Card.load(arguments.clone_of).clone_with_other_keys()
        clone.keep_in(path)
    elif arguments.personalised:
        personalised(
            path=path,
            algorithm=_ALGORITHMS[arguments.algorithm],
            slots=Slot,
            certificates=True,
            ungated_9a=arguments.ungated_9a,
        )
    else:
        Card.create(path)
    print(f"A new card is in {path}. Its PIN is 123456, its PUK 12345678.")


def _show(arguments: argparse.Namespace) -> None:
    card = Card.load(arguments.card)
    print(f"GUID           {card.guid.hex() if card.guid else 'none: the card is blank'}")
    print(f"serial number  {card.serial}")
    print(f"PIN tries left {card.pin.left} of {card.pin.allowed}")
    print(f"PUK tries left {card.puk.left} of {card.puk.allowed}")
    for number, key in sorted(card.keys.items()):
        slot = Slot(number)
        certified = "with" if CERTIFICATE_OF[slot] in card.objects else "without"
        when = {PinPolicy.NEVER: "no PIN", PinPolicy.ONCE: "PIN once", PinPolicy.ALWAYS: "PIN each"}
        print(
            f"key {slot:02X}         {key.algorithm.name}, {when[key.pin_policy]}, "
            f"{certified} certificate"
        )


def _behaviour(arguments: argparse.Namespace) -> Behaviour:
    faults, quirks = parse_faults(arguments.fault)
    return Behaviour(Access(arguments.access), PROFILES[arguments.profile], quirks, faults)


def _tap(arguments: argparse.Namespace) -> None:
    reader = VirtualReader(arguments.reader_port)
    card = Card.load(arguments.card)
    visit = reader.tap(card, arguments.hold, _behaviour(arguments))
    # Another command may put the next card in at once: that must be seen as another card.
    reader.await_noticed()
    _tell(visit)


def _insert(arguments: argparse.Namespace) -> None:
    card = Card.load(arguments.card)
    with VirtualReader(arguments.reader_port) as reader:
        visit = reader.insert(card, _behaviour(arguments))
        print("The card is in the reader. Press Enter to take it out.", flush=True)
        sys.stdin.readline()
    reader.await_noticed()
    _tell(visit)


def _tell(visit: PoweredCard) -> None:
    """What happened, in words."""
    if visit.powered_ns is None:
        print("The reader did not notice the card: it was not there long enough.")
        return
    seen_ms = (visit.powered_ns - visit.inserted_ns) / 1e6
    print(f"Seen by the reader after {seen_ms:.0f} ms.")
    exchanges = visit.card.record.exchanges
    for one in exchanges:
        answer = "no answer" if one.sw is None else describe(one.sw)
        fault = f"  [{one.fault}]" if one.fault else ""
        name = Ins(one.ins).name if one.ins in set(Ins) else f"{one.ins:02X}"
        print(
            f"{one.number:4}  {name:<28} {one.p1:02X} {one.p2:02X}  "
            f"{(one.ended_ns - one.started_ns) / 1e6:7.1f} ms  {answer}{fault}"
        )
    signed = ", ".join(f"{one.slot:02X}" for one in visit.card.record.signatures) or "nothing"
    card_ms = visit.card.record.card_ns / 1e6
    print(f"{len(exchanges)} exchanges, {card_ms:.1f} ms of the card's time. Signed with {signed}.")


def _faults(_: argparse.Namespace) -> None:
    width = max(map(len, WORDS))
    for word, meaning in WORDS.items():
        print(f"{word:<{width}}  {meaning}")


def _box(arguments: argparse.Namespace) -> None:
    ended = Event()
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, lambda *_: ended.set())
    with BoxServer(arguments.socket, Box()) as server:
        Thread(target=server.serve_forever, name="box", daemon=True).start()
        print(f"card box ready at {arguments.socket}", flush=True)
        ended.wait()
        server.shutdown()


if __name__ == "__main__":
    sys.exit(main())
