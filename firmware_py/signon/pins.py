"""The PINs that this terminal knows to be proved: here, or at another terminal of the ward."""

from __future__ import annotations

from collections.abc import Callable

from contract.directory import Entitlement
from contract.ids import Guid, TerminalId
from contract.tap import PinProof
from contract.wire import encode_base64
from firmware_py.card.records import Evidence, SignedRecord
from firmware_py.signon.grace import ProvenPin, ProvenPins
from firmware_py.trust.sitetime import Moment


class Pins:
    """Belongs to the consumer. `publish` tells the ward."""

    def __init__(
        self,
        terminal: TerminalId,
        evidence: Evidence,
        proven: ProvenPins,
        publish: Callable[[PinProof], None],
    ) -> None:
        self._terminal = terminal
        self._evidence = evidence
        self._proven = proven
        self._publish = publish

    def of(self, guid: Guid) -> ProvenPin | None:
        """The newest of a card."""
        return self._proven.of(guid)

    def remember(
        self, entitlement: Entitlement, signed: SignedRecord, asked_at: Moment
    ) -> Callable[[], None]:
        """To be called once the proof is durable: its grace begins, and the ward is told of it.

        A card that signs on by its PIN alone has no grace, so nobody is told.
        """
        if entitlement.by_pin_alone:
            return lambda: None
        fact = ProvenPin(
            entitlement.guid,
            signed.key,
            self._terminal,
            asked_at,
            signed.sequence,
            entitlement.holder,
        )

        def then() -> None:
            self._proven = self._proven.with_proof(fact)
            self._publish(self._proof_of(signed))

        return then

    def hear(self, fact: ProvenPin) -> None:
        """A PIN proved at another terminal of the ward, verified: its grace counts here as well."""
        self._proven = self._proven.with_proof(fact)

    def is_news(self, fact: ProvenPin) -> bool:
        """Whether it would give any grace that is not there already."""
        return self._proven.is_news(fact)

    def doubt(self, guid: Guid) -> None:
        """Somebody at an open screen did not know this card's PIN: here its grace is over."""
        self._proven = self._proven.without(guid)

    def forget(self) -> None:
        """Another journal: records of the old one prove nothing in it."""
        self._proven = ProvenPins.none()

    def _proof_of(self, signed: SignedRecord) -> PinProof:
        beat = self._evidence.heartbeat_named_in(signed.event)
        return PinProof(
            record=encode_base64(signed.event),
            signature=encode_base64(signed.signature),
            heartbeat=encode_base64(beat.to_bytes()) if beat else None,
        )
