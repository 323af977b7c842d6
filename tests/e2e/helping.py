"""03:00 as people do it: cards, PINs and a few words at the screen; each act is counted."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from benchmarks.ward.people import NURSE, Member, hired, person
from benchmarks.ward.site import OPERATOR, SITE, Ward
from benchmarks.ward.terminals import WardTerminal, is_open_for
from contract.directory import Spare, Status
from firmware_py.help.errand import SAY, Step
from hardware.virtual.control import BoxError
from provisioning.cards import escrows
from provisioning.cards.desk import Desk
from provisioning.directory.administration import Administration, Gateway, Operator
from runtime.clock import SystemClock

SPARE_PIN = "503817"
"""Of the letter that lies with the spare."""


def make_spare(ward: Ward, name: str, **changes: Any) -> Member:  # noqa: ANN401 - fields of a spare
    """A spare in the drawer: made, published, nobody's. Its `person` is who will hold it."""
    made = hired(ward.folder / "cards", person(name, "Nobody Yet", SPARE_PIN, NURSE), _now(ward))
    fields: dict[str, Any] = {
        "guid": made.entitlement.guid,
        "credentials": made.entitlement.credentials,
        "wards": ("ed",),
        "status": Status.ACTIVE,
        "not_after_ms": made.entitlement.not_after_ms,
        "salt": secrets.token_hex(16),
    }
    ward.publish(Spare(**{**fields, **changes}))
    return made


def held_by(spare: Member, member: Member) -> Member:
    """The spare in somebody's hand."""
    entitlement = spare.entitlement.model_copy(
        update={"holder": member.entitlement.holder, "name": member.entitlement.name}
    )
    return replace(spare, entitlement=entitlement)


@dataclass
class Night:
    """Acts at one screen, counted: a tap, a card with its PIN, a word said."""

    ward: Ward
    bay: WardTerminal
    acts: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    def ask(self, command: str, **fields: object) -> None:
        """A word at the screen."""
        mark = self.bay.glass.mark()
        self.bay.glass.post(command, **fields)
        self.acts.append(command)
        self.bay.glass.wait(lambda view: view["screen"] in ("notice", "refused"), mark)

    def card(self, member: Member, wanted: str) -> dict[str, Any]:
        """A card to a reader; returns what the glass then says, which begins so."""
        mark, port = self.bay.glass.mark(), self.bay.next_contactless().port
        self.ward.box.insert(port, member.card, profile="instant")
        self.acts.append("card")
        try:
            return self.bay.glass.wait(lambda view: view["words"].startswith(wanted), mark).view
        finally:
            self.ward.box.remove(port)

    @contextmanager
    def in_slot(self, member: Member, *faults: str) -> Iterator[None]:
        """A card in the slot, to be given its PIN."""
        port, mark = self.bay.next_contact().port, self.bay.glass.mark()
        visit = self.ward.box.insert(port, member.card, profile="instant", faults=faults)
        inserted_ns = visit["inserted_ns"]
        self.acts.append("card in slot")

        def read(view: dict[str, Any]) -> bool:
            return bool(view["screen"] == "notice" and (view["seen_ns"] or 0) >= inserted_ns)

        try:
            self.bay.glass.wait(read, mark)
            yield
        finally:
            with suppress(BoxError):  # a torn card has left by itself
                self.ward.box.remove(port)

    def pin(self, digits: str, wanted: str | tuple[str, ...]) -> dict[str, Any]:
        """Digits; returns the view that begins so."""
        mark = self.bay.glass.mark()
        self.bay.glass.post("pin", pin=digits)
        self.acts.append("PIN")
        return self.bay.glass.wait(lambda view: view["words"].startswith(wanted), mark).view

    def countersigned(
        self, what: str, colleague: Member, pin: str, wanted: str | tuple[str, ...]
    ) -> dict[str, Any]:
        """A colleague's card in the slot, once for the tap and the PIN."""
        port, mark = self.bay.next_contact().port, self.bay.glass.mark()
        self.ward.box.insert(port, colleague.card, profile="instant")
        self.acts.append("card in slot")
        try:
            self.bay.glass.wait(lambda view: view["words"] == SAY[what, Step.PIN], mark)
            return self.pin(pin, wanted)
        finally:
            self.ward.box.remove(port)

    def assign(self, spare: Member, lead: Member, wanted: str, **whom: object) -> dict[str, Any]:
        """The whole of it, up to the lead's PIN."""
        self.ask("spare", **whom)
        self.card(spare, SAY["spare", Step.COLLEAGUE])
        return self.countersigned("spare", lead, lead.pin, wanted)

    def signs_on(self, holder: Member) -> None:
        """The spare in the slot, with the PIN of its letter."""
        self.bay.sign_on_with_pin(holder, profile="instant")
        self.acts += ["card in slot", "PIN"]
        assert is_open_for(self.bay.glass.latest.view, holder)  # type: ignore[union-attr]


def exchange(ward: Ward) -> dict[str, int]:
    """What `tapover card escrows` does."""
    desk = Desk.open(ward.site, SystemClock())
    folder = ward.site.operator(OPERATOR)
    operator = Operator(OPERATOR, folder, ward.site.gateway / "operator_ca.crt.pem")
    gateway = Gateway(SITE, "127.0.0.1", ward.admin_port)
    with Administration(gateway, operator) as at:
        return escrows.exchange(desk, at)


def _now(ward: Ward) -> int:
    del ward
    return SystemClock().wall_ms()
