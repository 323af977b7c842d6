"""The gateway is told of break-glass: at once where the journal cannot keep it, else soon.

Its answer means that a leaf of the site's log holds it. What it does not take is said again: the
nurse in charge is to know while it is still of use to her.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from contract.emergency import SHOWN_MS, Emergency
from firmware_py.fetch import FetchFailed
from firmware_py.parts import Parts

LOG: Final = logging.getLogger("tapover.emergency")
_S: Final = 1_000_000_000
ANSWER_S: Final = 10.0
ANSWER_BYTES: Final = 1024
"""A word; whatever it is, the status says that it was taken."""
AGAIN_NS: Final = 5 * _S
LATER_NS: Final = 60 * _S
SOON: Final = 12
"""So many tries every five seconds; then once a minute."""


class Telling:
    """For any task of the loop."""

    def __init__(self, parts: Parts) -> None:
        self._tools = parts.emergency
        self._clock = parts.clock

    async def tell(self, emergency: Emergency, within_s: float) -> bool:
        """Once; whether the site's log holds it now."""
        try:
            async with asyncio.timeout(within_s):
                return await self._told(await self._sealed(emergency))
        except TimeoutError:
            LOG.info("the gateway does not answer in time")
            return False

    async def tell_in_time(self, emergency: Emergency) -> bool:
        """Until it is told, or nobody would look at it any more. It is signed once."""
        tries, until_ns = 0, self._clock.monotonic_ns() + SHOWN_MS * 1_000_000
        message = await self._sealed(emergency)
        while not await self._told(message):
            tries += 1
            now_ns = self._clock.monotonic_ns()
            if not message or now_ns >= until_ns:
                return False
            await self._clock.sleep_until(now_ns + (AGAIN_NS if tries < SOON else LATER_NS))
        return True

    async def _sealed(self, emergency: Emergency) -> bytes:
        """Empty where nobody is told anything."""
        if self._tools is None:
            return b""
        # A key in a TPM takes its time.
        envelope = await asyncio.to_thread(emergency.seal, self._tools.batch)
        return envelope.to_bytes()

    async def _told(self, message: bytes) -> bool:
        if self._tools is None:
            return False
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._tools.ask("emergency", message, ANSWER_BYTES)
        except (FetchFailed, TimeoutError) as error:
            LOG.info("the gateway does not hear of break-glass", extra={"why": str(error)})
            return False
        return True
