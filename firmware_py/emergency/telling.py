"""Break-glass is told: to the ward's other terminals, and to the gateway (DESIGN §5).

The terminals hear it from this one itself, on its own topic, whether there is a gateway or not. The
gateway's answer means that a leaf of the site's log holds it; from then it says it again. Until
then what was not taken is said again here, to all of them: the nurse in charge is to know while it
is still of use to her, and somebody may start or connect meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from typing import Final

from contract.emergency import SHOWN_MS, Emergency
from firmware_py.fetch import FetchFailed
from firmware_py.parts import EmergencyTools, Parts

LOG: Final = logging.getLogger("tapover.emergency")
_S: Final = 1_000_000_000
PEERS_S: Final = 1.0
"""A broker on the ward's own network answers in milliseconds, or is of no use just now."""
ANSWER_S: Final = 10.0
ANSWER_BYTES: Final = 1024
"""A word; whatever it is, the status says that it was taken."""
AGAIN_NS: Final = 5 * _S
LATER_NS: Final = 60 * _S
SOON: Final = 12
"""So many tries every five seconds; then once a minute."""


class Reach(Enum):
    """How far the word of it has gone."""

    NOBODY = "nobody"
    """Neither broker nor gateway has it: a voice carries further."""
    SOMEBODY = "somebody"


class Telling:
    """For any task of the loop."""

    def __init__(self, parts: Parts) -> None:
        self._tools = parts.emergency
        self._clock = parts.clock
        # Its own: the shared ones may all be waiting for a gateway that does not answer.
        self._signing = ThreadPoolExecutor(1, "telling")
        self._telling: set[asyncio.Future[bool]] = set()

    async def say(self, emergency: Emergency) -> bool:
        """To the ward's other terminals, once; whether the broker has it."""
        return self._tools is not None and await self._said(self._tools, emergency)

    async def tell(self, emergency: Emergency, within_s: float) -> bool:
        """To the gateway, once; whether the site's log holds it now."""
        if self._tools is None:
            return False
        # Not cancelled: a connection that hangs would be waited for. A late answer does no harm.
        telling = asyncio.ensure_future(self._seal_and_tell(self._tools, emergency))
        self._telling.add(telling)
        telling.add_done_callback(self._telling.discard)
        await asyncio.wait((telling,), timeout=within_s)
        if telling.done():
            return telling.result()
        LOG.info("the gateway does not answer in time")
        return False

    async def tell_in_time(self, emergency: Emergency, reached: Callable[[Reach], None]) -> bool:
        """To all of them, until the gateway has it, or nobody would look at it any more.

        `reached` is told after each step who can have heard of it by now.
        """
        if self._tools is None:
            return False
        tries, until_ns = 0, self._clock.monotonic_ns() + SHOWN_MS * 1_000_000
        message, reach = b"", Reach.NOBODY
        while True:
            message = message or await self._sealed(self._tools, emergency)
            if await self._published(self._tools, message):
                reach = Reach.SOMEBODY
            reached(reach)
            if await self._told(self._tools, message):
                reached(Reach.SOMEBODY)
                return True
            tries += 1
            now_ns = self._clock.monotonic_ns()
            if now_ns >= until_ns:
                return False
            await self._clock.sleep_until(now_ns + (AGAIN_NS if tries < SOON else LATER_NS))

    async def _seal_and_tell(self, tools: EmergencyTools, emergency: Emergency) -> bool:
        return await self._told(tools, await self._sealed(tools, emergency))

    async def _said(self, tools: EmergencyTools, emergency: Emergency) -> bool:
        return await self._published(tools, await self._sealed(tools, emergency))

    async def _sealed(self, tools: EmergencyTools, emergency: Emergency) -> bytes:
        """Empty where the key does not sign just now: it is asked again."""
        loop = asyncio.get_running_loop()
        try:
            # A key in a TPM takes its time.
            envelope = await loop.run_in_executor(self._signing, emergency.seal, tools.batch)
        except Exception:  # whatever a key store raises; nobody in an emergency stands behind it
            LOG.exception("break-glass could not be signed")
            return b""
        return envelope.to_bytes()

    async def _published(self, tools: EmergencyTools, message: bytes) -> bool:
        try:
            async with asyncio.timeout(PEERS_S):
                return bool(message) and await tools.publish(message)
        except TimeoutError:
            LOG.info("the broker does not take break-glass in time")
            return False

    async def _told(self, tools: EmergencyTools, message: bytes) -> bool:
        if not message:
            return False
        try:
            async with asyncio.timeout(ANSWER_S):
                await tools.ask("emergency", message, ANSWER_BYTES)
        except (FetchFailed, TimeoutError) as error:
            LOG.info("the gateway does not hear of break-glass", extra={"why": str(error)})
            return False
        return True
