"""Vectors of a countersign that an application asked for: signed, and come to nothing."""

from __future__ import annotations

from collections.abc import Callable

from contract import events
from contract.countersigning import CountersignEnded, CountersignResult, text_digest
from contract.ids import Digest, SessionId


def vectors(event: Callable[[int, events.Detail], bytes]) -> dict[str, bytes]:
    """Records by name, as their exact bytes."""
    return {
        f"event-countersign-{result}": event(
            30,
            CountersignEnded(
                session=SessionId("5e" * 16),
                result=result,
                text=text_digest("Morphine 10 mg i.v., bed 4"),
                document=Digest("d0" * 32),
                record=29 if result is CountersignResult.SIGNED else None,
            ),
        )
        for result in (CountersignResult.SIGNED, CountersignResult.SESSION_ENDED)
    }
