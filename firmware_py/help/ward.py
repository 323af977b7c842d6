"""What a ward knows of spares that the gateway has not judged: valid here until it has (DESIGN §6).

- An assignment counts if the register's terminal of this ward signed it and a lead of this ward
  countersigned it, as `contract.witness` says, by the directory held here.
- Of two for one spare, or one person, the earlier by site time counts.
- Once the directory itself has an entitlement under the spare's GUID, that alone counts. An
  assignment ends with its terms, and when its terminal takes it back.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from contract.directory import Entitlement, Status, TerminalState
from contract.help import HelpRefused, Named
from contract.helping import HelpReason
from contract.ids import Digest, Guid, TerminalId
from contract.signing import SignatureRefused, VerifyKey
from contract.witness import AHEAD_MS, Assigned, assign, open_assignment, require_lead
from firmware_py.trust.custody import Custody

_SALT: Final = "0" * 32
"""Of what is never published: the gateway salts its own."""


@dataclass(frozen=True, slots=True)
class Provisional:
    """An assignment in force here, and what it makes of the spare."""

    assigned: Assigned
    card: Entitlement


class WardSpares:
    """Belongs to the consumer. Answers `Custody.provisional`."""

    def __init__(self, custody: Custody) -> None:
        self._custody = custody
        self._by_digest: dict[Digest, Provisional] = {}

    def judge(self, message: bytes, terminal: TerminalId) -> Provisional:
        """Whether it may count here. Raises HelpRefused."""
        custody = self._custody
        place = custody.place().terminal
        peer = custody.kept.directory.terminal(terminal)
        if place is None or peer is None or peer.state is not TerminalState.ACTIVE:
            raise HelpRefused(HelpReason.TERMINAL_UNKNOWN)
        try:
            key = VerifyKey.from_base64(peer.batch_key)
        except SignatureRefused as error:
            raise HelpRefused(HelpReason.TERMINAL_UNKNOWN, str(error)) from error
        assigned = open_assignment(message, custody.kept.keys.site, terminal, key)
        terms = assigned.terms
        if not place.ward == peer.ward == terms.ward:
            raise HelpRefused(HelpReason.WRONG_WARD)
        lead = custody.kept.directory.entitlement(assigned.colleague)
        require_lead(assigned, lead, on_spare=custody.spare(assigned.colleague) is not None)
        now_ms = custody.freshness().now_ms
        if not now_ms < terms.until_ms or terms.begins_ms > now_ms + AHEAD_MS:
            raise HelpRefused(HelpReason.NOT_NOW)
        own = None
        if isinstance(terms.person, Named):
            own = custody.kept.directory.entitlement(terms.person.guid)
            if custody.spare(terms.person.guid) is not None:
                raise HelpRefused(HelpReason.PERSON_UNKNOWN)
        card = assign(terms, custody.spare(terms.spare), own, _SALT)
        if custody.kept.directory.entitlement(terms.spare) is not None:
            raise HelpRefused(HelpReason.SPARE_USED)
        return Provisional(assigned, card)

    def add(self, provisional: Provisional) -> list[Provisional]:
        """Puts it in force; returns those that give way. Raises HelpRefused where it gives way."""
        terms, order = provisional.assigned.terms, provisional.assigned.order
        others = [
            one
            for digest, one in self._by_digest.items()
            if digest != provisional.assigned.digest and _against(one, provisional)
        ]
        earlier = [one for one in others if one.assigned.order < order]
        if earlier:
            same = any(one.assigned.terms.spare == terms.spare for one in earlier)
            raise HelpRefused(HelpReason.LATER if same else HelpReason.HAS_ONE)
        for one in others:
            del self._by_digest[one.assigned.digest]
        self._by_digest[provisional.assigned.digest] = provisional
        return others

    def knows(self, digest: Digest) -> bool:
        """Whether it is in force here."""
        return digest in self._by_digest

    def take_back(self, digest: Digest) -> Guid | None:
        """The spare that it gave, if it was in force."""
        gone = self._by_digest.pop(digest, None)
        return gone.assigned.terms.spare if gone else None

    def settled(self) -> list[Digest]:
        """Those of which the directory knows by now, or whose time is over; they count no more."""
        now_ms = self._custody.freshness().now_ms
        directory = self._custody.kept.directory
        over = [
            digest
            for digest, one in self._by_digest.items()
            if one.assigned.terms.until_ms <= now_ms
            or directory.entitlement(one.assigned.terms.spare) is not None
        ]
        for digest in over:
            del self._by_digest[digest]
        return over

    def entitlement(self, guid: Guid, held: Entitlement | None) -> Entitlement | None:
        """As `Custody.entitlement` is to answer."""
        if held is None:
            return next((one.card for one in self._all() if one.card.guid == guid), None)
        if held.status is Status.ACTIVE and any(_lost(one) == guid for one in self._all()):
            return held.model_copy(update={"status": Status.SUSPENDED})
        return held

    def _all(self) -> Iterable[Provisional]:
        return self._by_digest.values()


def _against(one: Provisional, other: Provisional) -> bool:
    first, second = one.assigned.terms, other.assigned.terms
    return first.spare == second.spare or first.holder == second.holder


def _lost(one: Provisional) -> Guid | None:
    person = one.assigned.terms.person
    return person.guid if isinstance(person, Named) and person.lost else None
