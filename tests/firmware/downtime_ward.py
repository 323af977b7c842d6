"""What the tests of downtime share: a ward past its limit, its people, and what they do."""

from __future__ import annotations

from typing import Any

from contract.directory import Entitlement
from contract.emergency import DowntimeDeclared, DowntimeEnded, DowntimeStatement
from contract.policy import Downtime
from contract.signing import Envelope
from firmware_py.emergency.commands import DowntimeWanted
from firmware_py.glass.commands import PinEntered
from firmware_py.glass.view import View
from hardware.piv import Pin
from hardware.virtual.card import Card
from hardware.virtual.sample import personalised
from tests.firmware import rights
from tests.firmware.bench import PIN, Bench, staff
from tests.firmware.cards import SLOT

AMAL, ELENA, FFION = personalised(), personalised(), personalised()
LEAD = rights.position("resus-lead", "R8001L")
HOURS_S = 3600
DOWNTIME = Downtime(roles=("R8001L",), off=("R0270",), renew_s=2 * HOURS_S)


def lead(holder: str, initials: str, card: Card, **changes: Any) -> Entitlement:  # noqa: ANN401
    return staff(holder, initials, card, **{"positions": (LEAD,), **changes})


def state(wanted: str, step: str | None = None) -> Any:  # noqa: ANN401 - a predicate
    def holds(view: View) -> bool:
        panel = view.panels.get("downtime", {})
        return panel.get("state") == wanted and (step is None or panel.get("step") == step)

    return holds


async def card_and_pin(bench: Bench, card: Card, pin: str = PIN) -> None:
    """In the slot, with its PIN, and out again."""
    mark = len(bench.board.views)
    bench.readers.put(SLOT, card)
    await bench.until(state("declaring", "pin"), mark)
    bench.do(PinEntered(Pin(pin)))
    await bench.rest()
    bench.readers.take(SLOT)


async def declare(bench: Bench, *cards: Card) -> None:
    mark = len(bench.board.views)
    bench.do(DowntimeWanted())
    await bench.until(state("declaring", "card"), mark)
    for card in cards:
        await card_and_pin(bench, card)
    await bench.rest()


async def declared(bench: Bench) -> list[DowntimeDeclared]:
    details = [event.detail for event in await bench.events()]
    return [one for one in details if isinstance(one, DowntimeDeclared)]


async def ended(bench: Bench) -> list[str]:
    details = [event.detail for event in await bench.events()]
    return [one.why for one in details if isinstance(one, DowntimeEnded)]


async def cut_off(bench: Bench) -> None:
    """Past the offline limit, on a ward that has downtime."""
    await bench.open_day(
        staff("amal", "AM", AMAL),
        lead("elena", "EL", ELENA),
        lead("ffion", "FF", FFION),
        downtime=DOWNTIME,
        idle_dim_s=900,
        idle_lock_s=1800,
    )
    bench.clock.advance(5 * HOURS_S)
    await bench.until(state("offered"))


def statement(bench: Bench, **changes: Any) -> Envelope:  # noqa: ANN401 - fields of a statement
    now_ms = bench.custody.freshness().now_ms
    signer = changes.pop("signer", bench.site.key)
    fields: dict[str, Any] = {
        "site": rights.SITE,
        "ward": rights.WARD,
        "begins_ms": now_ms - 1000,
        "until_ms": now_ms + HOURS_S * 1000,
        "nonce": "0e" * 32,
    }
    return DowntimeStatement(**{**fields, **changes}).seal(signer)


def bring(bench: Bench, envelope: Envelope) -> None:
    (bench.journal_path.parent / "downtime.statement").write_bytes(envelope.to_bytes())
    bench.clock.advance(1)
