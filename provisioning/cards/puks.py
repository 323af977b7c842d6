"""Replacing a card's PUK so that no moment of being torn away loses it or blocks it.

A card tells nobody its PUK, and counts wrong ones. So: the new one is sealed and stored before it
is sent; when no answer came the card holds one of two, and each is tried in turn, its try noted
*before* it is sent. An answer, right or wrong, ends the doubt. Each of the two is sent at most
MAX_UNANSWERED times without an answer: fewer than the three tries that cards allow, so whatever is
torn whenever, the last try is never used up by guessing.

The gateway holds every PUK too (`escrows`), releases one at night, and what it put in its place
is taken over here (`adopt`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from contract.escrow import PukEscrow
from hardware.apdu import CardError
from hardware.personalise import FACTORY_PUK, CardMaker
from hardware.piv import Pin, PinBlocked, WrongPin
from provisioning.cards.journal import CardBook, CardRecord, PukDoubt, Stage
from provisioning.errors import CardBlocked, NotOurCard, PukUnknown
from provisioning.site.card_keys import CardKeys, fresh_puk

MAX_UNANSWERED: Final = 2


@dataclass(frozen=True, slots=True)
class PukKeeper:
    """The PUK of the card in the reader."""

    maker: CardMaker
    book: CardBook
    keys: CardKeys

    def set_pin(self, record: CardRecord, pin: Pin) -> None:
        """A PIN by the present PUK, whatever the PIN was, and all its tries.

        Raises PukUnknown and CardBlocked of the PUK, and the errors of `hardware`.
        """
        try:
            self.maker.unblock_pin(self._pin(record.puk), pin)
        except CardError as error:
            raise _told(error) from error

    def replace(self, record: CardRecord) -> CardRecord:
        """A fresh random one, sealed as the next generation. Raises as `change`."""
        record = self.settle(record)
        generation = record.puk.generation + 1 if record.puk else 1
        return self.change(record, self.keys.seal(record.guid, generation, fresh_puk()))

    def change(self, record: CardRecord, wanted: PukEscrow | None) -> CardRecord:
        """Make the card's PUK `wanted`; None: the factory's.

        Raises PukUnknown, CardBlocked, and of `hardware` what the card or its leaving brings.
        """
        record = self.settle(record)
        if record.puk == wanted:
            return record
        record = self.book.keep(record.with_(doubt=PukDoubt(wanted=wanted, tries_present=1)))
        try:
            self.maker.change_puk(self._pin(record.puk), self._pin(wanted))
        except CardError as error:
            # It answered: nothing was changed.
            self.book.keep(record.with_(doubt=None))
            raise _told(error) from error
        return self.book.keep(record.with_(puk=wanted, doubt=None))

    def settle(self, record: CardRecord) -> CardRecord:
        """End a doubt that a torn change left: afterwards the card holds what the record says.

        Raises as `change`; PukUnknown when guessing on would risk the last try.
        """
        while (doubt := record.doubt) is not None:
            wanted_next = doubt.tries_wanted < doubt.tries_present
            tries = doubt.tries_wanted if wanted_next else doubt.tries_present
            if tries >= MAX_UNANSWERED:
                raise PukUnknown(
                    f"card {record.guid} was torn away too often while its PUK was changed"
                )
            counted = "tries_wanted" if wanted_next else "tries_present"
            doubt = doubt.model_copy(update={counted: tries + 1})
            record = self.book.keep(record.with_(doubt=doubt))
            record = self._guess(record, doubt, of_wanted=wanted_next)
        return record

    def _guess(self, record: CardRecord, doubt: PukDoubt, *, of_wanted: bool) -> CardRecord:
        guess = self._pin(doubt.wanted if of_wanted else record.puk)
        try:
            # A right guess makes it the wanted one, and gives the card all its tries back.
            self.maker.change_puk(guess, self._pin(doubt.wanted))
        except WrongPin:
            # Then it is the other one; using that gives the card the lost try back.
            puk = record.puk if of_wanted else doubt.wanted
            record = self.book.keep(record.with_(puk=puk, doubt=None))
            self.maker.change_puk(self._pin(puk), self._pin(puk))
            return record
        except CardError as error:
            raise _told(error) from error
        return self.book.keep(record.with_(puk=doubt.wanted, doubt=None))

    def _pin(self, escrow: PukEscrow | None) -> Pin:
        return FACTORY_PUK if escrow is None else self.keys.open(escrow)


def adopt(book: CardBook, keys: CardKeys, escrow: PukEscrow, *, certain: bool = True) -> CardRecord:
    """Take over a PUK that another recipient has put onto the card: the gateway, at night.

    Not `certain`: nobody has heard whether the card took it; the next use here finds out. An older
    generation, or the same, changes nothing. Take an escrow only from a signed record.
    Raises NotOurCard, or BadInput for one that does not open here.
    """
    record = book.recall(escrow.guid)
    if record is None:
        raise NotOurCard(f"card {escrow.guid} was not issued here")
    newest = record.puk.generation if record.puk else 0
    if escrow.generation <= newest:
        return record
    keys.open(escrow)
    if not certain:
        return book.keep(record.with_(doubt=PukDoubt(wanted=escrow)))
    return book.keep(record.with_(puk=escrow, doubt=None))


def escrows(book: CardBook) -> Iterator[PukEscrow]:
    """The PUK of every card in use, as the gateway may hold it: sealed to it and to the authority.

    A card whose PUK is being changed at this moment is left out.
    """
    for record in book.all():
        in_use = record.stage in (Stage.MADE, Stage.GIVEN)
        if in_use and record.puk is not None and record.doubt is None:
            yield record.puk


def _told(error: CardError) -> Exception:
    match error:
        case WrongPin():
            return PukUnknown("the card's PUK is not the one that it should have; it was changed")
        case PinBlocked():
            return CardBlocked("the card's PUK is blocked: somebody tried others")
        case _:
            return error
