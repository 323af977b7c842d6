"""Personalising a blank PIV card for a holder (SP 800-73-4): keys are made on it and stay there.

What the site later believes of the card is what was seen here: its two public keys, and that 9A
refused to sign before VERIFY. The certificates serve foreign software only.

A card may be torn away, or this process killed, at any moment; the same call goes on where it was.
The GUID is written first, so that the card says whose it was to be; every other step looks at the
card, or can be done twice; the PUK, which no card tells and none may be asked too often, has a
journal of its own (`puks`). The PIN is set by the PUK, whatever it was, and never kept.
"""

from __future__ import annotations

from contract.certificates import spki
from contract.directory import Credential, Slot
from contract.ids import Guid
from contract.signing import Algorithm
from contract.wire import encode_base64
from hardware.apdu import CardChannel, CardError
from hardware.personalise import FACTORY_MANAGEMENT_KEYS, FACTORY_PIN
from hardware.piv import Pin
from hardware.pivdata import CERTIFICATE_OF, KeySlot, ObjectId
from provisioning.cards.desk import MANAGEMENT, SLOTS, BlankCard, Desk, OwnCard, authenticate
from provisioning.cards.journal import Stage
from provisioning.cards.proof import prove
from provisioning.directory.entries import IssuedCard
from provisioning.errors import CardBlocked, CardOfAnother, CardUnfit, PukUnknown
from provisioning.site.folder import SiteFolder
from runtime.clock import Clock


def issue_card(
    channel: CardChannel, folder: SiteFolder, holder: str, pin: Pin, clock: Clock
) -> IssuedCard:
    """Personalises the blank card behind `channel`, or goes on with one torn away before.

    Raises CardUnfit (not blank, lying), CardOfAnother (begun for another holder), CardBlocked,
    PukUnknown, and the errors of `hardware`; after any of them the same call may be made again.
    """
    return issue_at(Desk.open(folder, clock), channel, holder, pin)


def issue_at(desk: Desk, channel: CardChannel, holder: str, pin: Pin) -> IssuedCard:
    """As `issue_card`, at a desk that is open."""
    card = OwnCard.seen(desk, channel)
    if isinstance(card, BlankCard):
        # Before anything is written down, or to the card: is it as it left the factory?
        authenticate(card.maker, FACTORY_MANAGEMENT_KEYS)
        begun = desk.book.begin(holder, desk.clock.wall_ms())
        return _issue(OwnCard(desk, card.maker, card.state, begun), pin, at_factory=True)
    if card.record.stage is Stage.UNDOING:
        raise CardUnfit("the card is being made blank; finish that: tapover card undo")
    if card.record.holder != holder or card.record.stage is Stage.GIVEN:
        raise CardOfAnother(
            f"the card is not blank: it was {card.record.stage} for {card.record.holder}"
        )
    return _issue(card, pin, at_factory=card.authenticate() in FACTORY_MANAGEMENT_KEYS)


def _issue(card: OwnCard, pin: Pin, *, at_factory: bool) -> IssuedCard:
    """From whatever the card already is to a proved card; the management key is proven."""
    maker = card.maker
    if card.state.guid is None:
        card.put_chuid()
    card.record = card.puks.settle(card.record)
    if card.record.puk is None:
        card.record = card.puks.replace(card.record)
    credentials = [_key_in(slot, card) for slot in SLOTS]
    maker.put_ccc(bytes.fromhex(card.guid)[:14])
    if card.state.discovery is None:
        maker.ensure_discovery()
    if at_factory:
        _set_own_management_key(card)
    # By the PUK and not from the PIN before: whether that is the factory's is not known here.
    card.puks.set_pin(card.record, pin)
    proved = prove(maker.client, credentials, pin)
    if maker.client.read_guid().hex() != card.guid:
        raise CardUnfit("the card does not keep the GUID that it was given")
    card.keep(stage=Stage.MADE, credentials=proved, ends_ms=card.desk.ends_ms())
    return IssuedCard(card.guid, proved)


def _key_in(slot: KeySlot, card: OwnCard) -> Credential:
    """The key of `slot`, made anew unless its certificate shows that it was finished."""
    certificate = card.own_certificate(slot)
    if certificate is not None:
        return _credential(slot, spki(certificate.public_key()))
    key = card.maker.generate_key(slot)
    card.certify(slot, key)
    return _credential(slot, spki(key))


def _set_own_management_key(card: OwnCard) -> None:
    for kind in MANAGEMENT:
        own = card.desk.keys.master.management_key(card.guid, kind)
        try:
            card.maker.set_management_key(own)
        except CardError:
            if kind is MANAGEMENT[-1]:
                raise
            continue
        card.maker.authenticate(own)
        card.keep(management=kind.name)
        return


def undo_card(desk: Desk, channel: CardChannel) -> Guid:
    """Makes a card blank again that was begun or made, but not given. Torn away: call it again.

    Raises NotOurCard, CardOfAnother (its holder has it), and as `issue_card`.
    """
    card = OwnCard.required(desk, channel)
    if card.record.stage is Stage.GIVEN:
        raise CardOfAnother(f"the card is {card.record.holder}'s; revoke or replace it instead")
    card.keep(stage=Stage.UNDOING)
    try:
        _take_back(card)
    except (PukUnknown, CardBlocked):
        card.maker.wipe()
    card.keep(stage=Stage.BLANK)
    return card.guid


def _take_back(card: OwnCard) -> None:
    """Backwards; the GUID last, for as long as it stands the card can be found again."""
    maker, factory = card.maker, FACTORY_MANAGEMENT_KEYS
    card.record = card.puks.settle(card.record)
    present = card.authenticate()
    if card.record.puk is not None:
        card.puks.set_pin(card.record, FACTORY_PIN)
        card.record = card.puks.change(card.record, None)
    if present not in factory:
        first = next(key for key in factory if key.algorithm is present.algorithm)
        maker.set_management_key(first)
        maker.authenticate(first)
        card.keep(management=None)
    for slot in SLOTS:
        maker.delete(CERTIFICATE_OF[slot])
    maker.delete(ObjectId.CCC)
    maker.delete(ObjectId.CHUID)


def _credential(slot: KeySlot, key: bytes) -> Credential:
    return Credential(slot=Slot(f"{slot:02X}"), algorithm=Algorithm.P256, key=encode_base64(key))
