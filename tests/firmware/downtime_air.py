"""A ward of two screens past its limit, with a broker between them and no gateway."""

from __future__ import annotations

import asyncio
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from contract.declaring import DowntimeSaid, SignedDowntime
from contract.emergency import DowntimeHeard, DowntimeTerms
from contract.events import CardRecorded, Detail, Event
from contract.ids import Digest, Guid, TerminalId
from contract.signing import sha256
from contract.tap import DowntimeRecord, card_message
from contract.wire import encode_base64
from firmware_py.emergency.downtime import SAID
from firmware_py.site import link
from hardware.virtual.card import Card
from hardware.virtual.names import Slot
from tests.firmware import rights
from tests.firmware.air import Air
from tests.firmware.bench import DEADLINE_S, Bench, staff
from tests.firmware.downtime_ward import AMAL, DOWNTIME, ELENA, FFION, HOURS_S, lead, state

HERE, THERE = "resus-1", "resus-2"
AGAIN_S = 11
"""What is said is said again by then."""


async def day(air: Air, *entries: Any) -> None:  # noqa: ANN401 - as a change takes them
    """Everybody online; Amal works on the ward, Elena and Ffion are in charge of it."""
    await air.open_day(
        staff("amal", "AM", AMAL),
        lead("elena", "EL", ELENA),
        lead("ffion", "FF", FFION),
        *entries,
        downtime=DOWNTIME,
        idle_dim_s=900,
        idle_lock_s=1800,
    )


async def silence(air: Air, *names: str, hours: float = 5) -> None:
    """The gateway is gone for longer than the ward's limit; these screens say so."""
    air.clock.advance(hours * HOURS_S)
    for name in names or (HERE, THERE):
        await air[name].until(state("offered"))


async def passes(air: Air, seconds: float) -> None:
    """Time goes by, and nobody hears the site."""
    air.clock.advance(seconds)
    await air.rest()


def is_on(bench: Bench) -> bool:
    panel = bench.board.view.panels.get("downtime", {})
    return panel.get("state") == "on" and bench.terminal.signon.downtime is not None


async def heard(bench: Bench) -> list[DowntimeHeard]:
    return [e.detail for e in await bench.events() if isinstance(e.detail, DowntimeHeard)]


async def kept(bench: Bench) -> None:
    """Until what it says is on its disk: a worker thread writes it."""
    path = bench.journal_path.parent / SAID
    async with asyncio.timeout(DEADLINE_S):
        while not path.exists() or path.read_bytes() != bench.downtime_said[-1]:
            await asyncio.to_thread(lambda: None)


def terms_of(bench: Bench, **changes: Any) -> DowntimeTerms:  # noqa: ANN401 - by field
    """As a declaration made now at HERE would have them."""
    fields: dict[str, Any] = {
        "site": rights.SITE,
        "terminal": TerminalId(HERE),
        "ward": rights.WARD,
        "begins_ms": bench.custody.freshness().now_ms,
        "limit_s": DOWNTIME.renew_s,
        "off": DOWNTIME.off,
        "nonce": "0e" * 32,
    }
    return DowntimeTerms(**{**fields, **changes})


async def event_of(bench: Bench, card: Card, record: type[Any], **fields: Any) -> Event:  # noqa: ANN401
    """A card record that no terminal's program has made, in the form of the bench's own events."""
    assert card.guid is not None
    like = (await bench.events())[-1]
    beat = bench.custody.heartbeat
    values: dict[str, Any] = {
        "guid": Guid(card.guid.hex()),
        "previous": Digest("c0" * 32),
        "directory": {"epoch": 1, "n": 1},
        "heartbeat": beat.digest if beat else None,
        "nonce": "4e" * 32,
    }
    detail: Detail = CardRecorded(record=record.model_validate({**values, **fields}))
    return like.model_copy(update={"detail": detail})


async def signed(bench: Bench, card: Card, event: Event) -> SignedDowntime:
    """By the card's 9A: whoever has its PIN and the card in the slot has this."""
    line, key = event.to_bytes(), card.keys[Slot.AUTHENTICATION].private
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    signature = key.sign(card_message(line), ec.ECDSA(hashes.SHA256()))
    beat = bench.custody.heartbeat
    return SignedDowntime(
        record=encode_base64(line),
        signature=encode_base64(signature),
        heartbeat=encode_base64(beat.to_bytes()) if beat else None,
    )


async def forged(bench: Bench, terms: DowntimeTerms, *cards: Card, **fields: Any) -> bytes:  # noqa: ANN401
    """What a terminal that has turned makes of cards in its slot and of their PINs."""
    line = terms.to_bytes()
    by = []
    for card in cards:
        named = {"terms": sha256(line), "text": sha256(terms.words().encode()), **fields}
        event = await event_of(bench, card, DowntimeRecord, **named)
        event = event.model_copy(update={"terminal": terms.terminal})
        by.append(await signed(bench, card, event))
    return DowntimeSaid(terms=encode_base64(line), by=tuple(by)).to_bytes()


async def say(air: Air, data: bytes, name: str = HERE, to: str = THERE) -> None:
    """On a topic of this terminal's, as the broker hands it on."""
    air[to].post(link.DowntimeSaid(TerminalId(name), data))
    await air.rest()
