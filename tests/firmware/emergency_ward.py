"""What the tests of break-glass share: a ward, its two people, and what they do and see."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from contract.directory import Entitlement
from contract.emergency import BreakGlassOpened
from contract.ids import PositionId
from contract.policy import BreakGlass, BreakGlassState
from firmware_py.emergency import commands
from firmware_py.emergency.reserve import Reserve
from firmware_py.glass.view import Screen, View
from firmware_py.kiosk.commands import Command
from hardware.virtual.sample import personalised
from tests.firmware.bench import DEADLINE_S, Bench, staff

AMAL, BEA, STRANGER = personalised(), personalised(), personalised()
RESUS = commands.BreakGlass("RESUS")
HOURS_S = 3600


def amal(**changes: Any) -> Entitlement:  # noqa: ANN401 - fields of an entitlement
    return staff("amal", "AM", AMAL, **changes)


def bea(**changes: Any) -> Entitlement:  # noqa: ANN401 - fields of an entitlement
    return staff("bea", "BE", BEA, **changes)


def glass(**changes: Any) -> BreakGlass:  # noqa: ANN401 - fields of a policy
    """The ward's, from every state there is."""
    fields: dict[str, Any] = {
        "allowed": True,
        "position": PositionId("emergency"),
        "reasons": ("RESUS", "SYSTEM"),
        "limit_s": 600,
        "states": tuple(BreakGlassState),
    }
    return BreakGlass(**{**fields, **changes})


def offered(view: View) -> bool:
    return bool(view.panels.get("breakglass", {}).get("offered"))


def waits(view: View) -> bool:
    """For a colleague's card."""
    return bool(view.panels.get("breakglass", {}).get("waits_for_colleague"))


def active(view: View) -> bool:
    return view.screen is Screen.OPEN and bool(view.panels.get("breakglass", {}).get("active"))


async def take(bench: Bench, command: Command = RESUS) -> View:
    """Held, and a reason touched: the emergency session on the glass."""
    mark = len(bench.board.views)
    bench.do(command)
    return await bench.until(active, mark)


async def opened(bench: Bench) -> list[BreakGlassOpened]:
    """Those that stand in the journal."""
    details = [event.detail for event in await bench.events()]
    return [one for one in details if isinstance(one, BreakGlassOpened)]


async def without_journal(bench: Bench) -> None:
    """Its disk takes nothing any more."""
    mark = len(bench.board.views)
    await bench.fail_disk()
    await bench.until(lambda view: view.screen is Screen.REFUSED, mark)


def in_reserve(bench: Bench) -> list[str | None]:
    """Whose lie there."""
    lines = Reserve(bench.journal_path.parent / "journal.reserve").records()
    return [BreakGlassOpened.model_validate_json(line).holder for line in lines]


async def until_on_disk(holds: Callable[[], bool]) -> None:
    """A thread of the terminal's writes, and tells nobody."""
    async with asyncio.timeout(DEADLINE_S):
        while not holds():
            await asyncio.to_thread(holds)


async def emptied(bench: Bench) -> None:
    """The reserve holds nothing any more."""
    await until_on_disk(lambda: not in_reserve(bench))


async def kept_policy(folder: Path) -> None:
    """The ward's break-glass lies beside its directory."""
    await until_on_disk((folder / "break-glass.json").exists)
