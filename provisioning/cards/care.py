"""Caring for a card in use: a blocked PIN opened, certificates renewed before they end.

Both may be torn away at any moment, and are finished by asking for the same again.
"""

from __future__ import annotations

from collections.abc import Callable

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from contract.directory import Credential, Entitlement
from contract.ids import Guid
from contract.wire import decode_base64
from hardware.apdu import CardChannel, CardError
from hardware.piv import Pin, PivClient
from hardware.pivdata import KeySlot, UnusableCard
from provisioning.cards.desk import Desk, OwnCard
from provisioning.cards.journal import Stage
from provisioning.cards.proof import prove
from provisioning.directory.entries import IssuedCard
from provisioning.errors import CardUnfit


def unlock_card(desk: Desk, channel: CardChannel, pin: Pin) -> IssuedCard:
    """Gives a card of ours a new PIN by its kept PUK, and then the card a new PUK.

    A PUK that has been used is known to a reader, so it is replaced in the same act: first, since a
    card torn away afterwards still has its old PIN, and the kept PUK. Raises NotOurCard,
    PukUnknown, CardBlocked, CardUnfit for a card not finished, and the errors of `hardware`.
    """
    card = _in_use(desk, channel)
    card.record = card.puks.replace(card.record)
    card.puks.set_pin(card.record, pin)
    proved = prove(card.maker.client, card.record.credentials, pin)
    return IssuedCard(card.guid, proved)


def renew(
    desk: Desk, channel: CardChannel, entitlement: Entitlement, pin: Pin, *, dry_run: bool = False
) -> tuple[Credential, ...]:
    """The card's keys, proved once more; a card of ours gets certificates that end later.

    The keys are proved first: a card that no longer holds what its entitlement says is not renewed.
    Raises as `unlock_card`, and PinRefused.
    """
    ours = desk.book.recall(entitlement.guid) is not None
    if ours:
        card = _in_use(desk, channel)
        client = card.maker.client
    else:
        card, client = None, PivClient(channel, desk.clock.monotonic_ns)
        client.select()
    proved = prove(client, entitlement.credentials, pin)
    if card is not None and not dry_run:
        card.authenticate()
        for credential in proved:
            card.certify(KeySlot(int(credential.slot, 16)), _key(credential))
        card.put_chuid()
        card.keep(credentials=proved, ends_ms=desk.ends_ms())
    return proved


def guid_of(channel: CardChannel, monotonic_ns: Callable[[], int]) -> Guid:
    """Which card is in the reader. Raises CardUnfit for one without a GUID."""
    client = PivClient(channel, monotonic_ns)
    client.select()
    try:
        return Guid(client.read_guid().hex())
    except (CardError, UnusableCard) as error:
        raise CardUnfit(f"the card has no GUID: {error}") from error


def _key(credential: Credential) -> ec.EllipticCurvePublicKey:
    key = serialization.load_der_public_key(decode_base64(credential.key))
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise CardUnfit(f"the card's {credential.slot} is no key of ours")
    return key


def _in_use(desk: Desk, channel: CardChannel) -> OwnCard:
    card = OwnCard.required(desk, channel)
    if card.record.stage not in (Stage.MADE, Stage.GIVEN):
        raise CardUnfit("the card was never finished; run tapover card issue again")
    return card
