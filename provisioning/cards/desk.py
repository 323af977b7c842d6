"""The desk where cards are written: what the authority knows and holds, and the card before it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec

from contract.certificates import Profile, Subject
from contract.ids import Guid
from hardware.apdu import CardChannel
from hardware.personalise import (
    FACTORY_MANAGEMENT_KEYS,
    CardMaker,
    CardState,
    ManagementKey,
    WrongManagementKey,
)
from hardware.piv import NotPivCard
from hardware.pivdata import Algorithm as CardAlgorithm
from hardware.pivdata import Guid as CardGuid
from hardware.pivdata import KeySlot, UnusableCard
from provisioning.cards.journal import CardBook, CardRecord, Stage
from provisioning.cards.puks import PukKeeper
from provisioning.errors import CardUnfit, NotOurCard
from provisioning.site import keys
from provisioning.site.card_keys import CardKeys
from provisioning.site.folder import SiteFolder
from runtime.clock import Clock

SLOTS: Final = {
    KeySlot.CARD_AUTHENTICATION: Profile.CARD_AUTHENTICATION,
    KeySlot.AUTHENTICATION: Profile.PIV_AUTHENTICATION,
}
"""The keys of a card of ours, and their certificates."""

# The newer first: YubiKeys take AES from 5.4 on, older cards 3DES alone.
MANAGEMENT: Final = (CardAlgorithm.AES_192, CardAlgorithm.TDES)


@dataclass(frozen=True, slots=True)
class Desk:
    """Where cards are made: a site's authority, its keys, what it knows of cards, a clock."""

    folder: SiteFolder
    keys: CardKeys
    book: CardBook
    clock: Clock

    @classmethod
    def open(cls, folder: SiteFolder, clock: Clock, card_keys: CardKeys | None = None) -> Desk:
        """`card_keys` where the master is kept elsewhere. Raises NotThere or BadInput."""
        found = card_keys or CardKeys.load(folder.authority)
        return cls(folder, found, CardBook.of(folder), clock)

    def ends_ms(self) -> int:
        """When what is certified now ends, Unix milliseconds."""
        return self.clock.wall_ms() + keys.CARD_DAYS // timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class BlankCard:
    """A card that nobody has written to."""

    maker: CardMaker
    state: CardState


@dataclass(slots=True)
class OwnCard:
    """The card in the reader, which this authority made or is making."""

    desk: Desk
    maker: CardMaker
    state: CardState
    record: CardRecord

    @classmethod
    def seen(cls, desk: Desk, channel: CardChannel) -> OwnCard | BlankCard:
        """Looks at the card. Raises CardUnfit for one that others made."""
        try:
            maker = CardMaker(channel, desk.clock.monotonic_ns)
            state = maker.read_state()
        except NotPivCard as error:
            raise CardUnfit("this is no PIV card") from error
        except UnusableCard as error:
            raise CardUnfit(f"what is on the card cannot be read: {error}") from error
        record = None if state.guid is None else desk.book.recall(Guid(state.guid.hex()))
        if record is not None and record.stage is not Stage.BLANK:
            return cls(desk, maker, state, record)
        if not state.blank:
            raise CardUnfit("the card is not blank; it may be somebody's. Take a blank one.")
        return BlankCard(maker, state)

    @classmethod
    def required(cls, desk: Desk, channel: CardChannel) -> OwnCard:
        """Raises NotOurCard for any other."""
        try:
            card = cls.seen(desk, channel)
        except CardUnfit as error:
            raise NotOurCard("this card was not issued here") from error
        if isinstance(card, BlankCard):
            raise NotOurCard("this card is blank")
        return card

    @property
    def guid(self) -> Guid:
        return self.record.guid

    @property
    def puks(self) -> PukKeeper:
        return PukKeeper(self.maker, self.desk.book, self.desk.keys)

    def keep(self, **changes: object) -> None:
        """Write down that it is further on."""
        self.record = self.desk.book.keep(self.record.with_(**changes))

    def authenticate(self) -> ManagementKey:
        """By its own management key or, while it is in the making, the factory's."""
        own = [self.desk.keys.master.management_key(self.guid, kind) for kind in MANAGEMENT]
        if self.record.management is not None:
            own.sort(key=lambda key: key.algorithm.name != self.record.management)
            return authenticate(self.maker, (*own, *FACTORY_MANAGEMENT_KEYS))
        return authenticate(self.maker, (*FACTORY_MANAGEMENT_KEYS, *own))

    def own_certificate(self, slot: KeySlot) -> x509.Certificate | None:
        """The certificate in `slot` if it is ours, for this card and a P-256 key."""
        found = self.state.certificates.get(slot)
        if found is None:
            return None
        ca = keys.read_certificate(self.desk.folder.authority / "card_ca.crt.pem")
        try:
            certificate = x509.load_der_x509_certificate(found)
            certificate.verify_directly_issued_by(ca)
            names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
            named = names.value.get_values_for_type(x509.UniformResourceIdentifier)
        except (ValueError, TypeError, InvalidSignature, *_NO_CERTIFICATE):
            return None
        ours = isinstance(certificate.public_key(), ec.EllipticCurvePublicKey)
        return certificate if ours and urn(self.guid) in named else None

    def certify(self, slot: KeySlot, key: ec.EllipticCurvePublicKey) -> None:
        """Issue a certificate for `slot` and store it on the card; authenticate first."""
        desk = self.desk
        authority = keys.Authority.load(desk.folder.authority, "card_ca")
        subject = Subject(self.record.holder, desk.folder.site, urn=urn(self.guid))
        issued = authority.issue(SLOTS[slot], subject, key, desk.clock.wall_ms(), keys.CARD_DAYS)
        self.maker.put_certificate(slot, keys.der(issued))

    def put_chuid(self) -> None:
        """Write the GUID, and the day on which the card ends."""
        expires = keys.moment(self.desk.ends_ms()).strftime("%Y%m%d")
        self.maker.put_chuid(CardGuid(bytes.fromhex(self.guid)), expires)


_NO_CERTIFICATE: Final = (x509.InvalidVersion, x509.ExtensionNotFound, UnsupportedAlgorithm)


def authenticate(maker: CardMaker, candidates: tuple[ManagementKey, ...]) -> ManagementKey:
    """By the first that the card takes. Raises CardUnfit when it takes none."""
    for key in candidates:
        try:
            maker.authenticate(key)
        except WrongManagementKey:
            continue
        return key
    raise CardUnfit("the card has neither the factory's management key nor its own")


def urn(guid: Guid) -> str:
    """How a certificate names its card (RFC 9562 §4)."""
    parts = guid[:8], guid[8:12], guid[12:16], guid[16:20], guid[20:]
    return "urn:uuid:" + "-".join(parts)
