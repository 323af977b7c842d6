"""Where break-glass is kept that the journal cannot take: in this order, and each with little time.

The journal's reserve; the gateway, whose answer means that a leaf of the site's log holds it; else
nowhere, and the glass says so. Before that the ward's other terminals hear of it: one of them
writes down what would be lost with this terminal's power.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from contract.emergency import BreakGlassOpened, Emergency, Kept
from firmware_py.emergency.reserve import Reserve, ReserveFull
from firmware_py.emergency.telling import Telling

LOG: Final = logging.getLogger("tapover.emergency")
RESERVE_S: Final = 1.5
"""A disk that takes longer is no help to somebody in resus."""
GATEWAY_S: Final = 3.0
CUT_OFF_S: Final = 1.0
"""... or, where not even the broker answers: it is most likely away as well."""


class Keeping:
    """For any task of the loop."""

    def __init__(
        self,
        reserve: Reserve | None,
        telling: Telling,
        emergency: Callable[[BreakGlassOpened], Emergency],
        is_linked: Callable[[], bool],
    ) -> None:
        """`emergency` makes of it what is said to others."""
        self._reserve = reserve
        self._telling = telling
        self._emergency = emergency
        self._is_linked = is_linked

    async def keep(self, opened: BreakGlassOpened) -> Kept:
        """Where it is kept now."""
        if self._reserve is not None and await self._in_reserve(self._reserve, opened):
            return Kept.RESERVE
        nowhere = self._emergency(opened.model_copy(update={"kept": Kept.LATER}))
        await self._telling.say(nowhere)
        told = self._emergency(opened.model_copy(update={"kept": Kept.GATEWAY}))
        within_s = GATEWAY_S if self._is_linked() else CUT_OFF_S
        return Kept.GATEWAY if await self._telling.tell(told, within_s) else Kept.LATER

    async def _in_reserve(self, reserve: Reserve, opened: BreakGlassOpened) -> bool:
        record = opened.model_copy(update={"kept": Kept.RESERVE}).model_dump_json().encode()
        try:
            async with asyncio.timeout(RESERVE_S):
                await reserve.turn(lambda: reserve.put(record))
        except (ReserveFull, TimeoutError) as error:
            LOG.warning("the journal's reserve takes nothing", extra={"why": str(error)})
            return False
        return True
