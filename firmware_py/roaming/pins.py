"""Grace across a ward's terminals: a PIN proved there counts here, by our own clock (DESIGN §6).

Nothing is granted by the other terminal: the card's 9A key signed the record, enrolment saw that
key refuse without a PIN, and the heartbeat that the record names says that it was not proved
before. From then the grace is counted, by this ward's policy and this terminal's clock; so whoever
holds a proof back, or plays it again, gives less and never more.
"""

from __future__ import annotations

from typing import Final

from contract.events import ClockTrust
from contract.moving import PinHeard
from contract.policy import GRACE_CEILING_S, GraceScope
from firmware_py.inside import Inside
from firmware_py.roaming.heard import Proved, Refused, open_pin
from firmware_py.roaming.peers import Peers
from firmware_py.sessions.stage import Acted
from firmware_py.signon.grace import heard_pin
from firmware_py.site.link import PinProofHeard

_CEILING_MS: Final = GRACE_CEILING_S * 1000


class WardPins:
    """Belongs to the consumer."""

    def __init__(self, inside: Inside, peers: Peers) -> None:
        self._inside = inside
        self._peers = peers

    def heard(self, item: PinProofHeard) -> None:
        """Verify and remember it, where this ward shares its grace. Raises JournalFailed."""
        policy, custody = self._inside.policy(), self._inside.parts.custody
        if policy.grace_scope is not GraceScope.WARD or self._inside.outage.down:
            return
        try:
            proved = open_pin(item.data, item.terminal, custody)
        except Refused as error:
            self._peers.refused(item.terminal, "pin", error, item.data)
            return
        if proved is not None and (event := self._event(proved)) is not None:
            self._remember(event)

    def _event(self, proved: Proved) -> PinHeard | None:
        """Null where it gives no grace: too long ago, before our start, or we have no clock."""
        custody = self._inside.parts.custody
        freshness, moment = custody.freshness(), custody.moment()
        since_ms = min(proved.beat_ms, freshness.now_ms)
        age_ms = freshness.now_ms - since_ms
        known = freshness.clock is not ClockTrust.UNCONFIRMED
        if not known or age_ms >= _CEILING_MS or age_ms > moment.monotonic_ms:
            return None
        return PinHeard(
            terminal=proved.terminal,
            ward=self._inside.policy().ward,
            record=proved.record,
            guid=proved.guid,
            holder=proved.holder,
            key=proved.credential.key_id,
            since_ms=since_ms,
            since_monotonic_ms=moment.monotonic_ms - age_ms,
        )

    def _remember(self, event: PinHeard) -> None:
        boot, signon = self._inside.parts.custody.moment().boot, self._inside.signon

        def then(acted: Acted) -> None:
            signon.pins.hear(heard_pin(event, acted.first, boot))

        if signon.pins.is_news(heard_pin(event, 0, boot)):
            self._inside.stage.commit(None, (event,), then)
