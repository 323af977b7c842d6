"""Directory statements of a hostile broker, faster than a terminal judges them."""

from __future__ import annotations

import asyncio

from contract.directory import MAX_CHANGE_BYTES
from contract.ids import Version
from contract.signing import Envelope
from firmware_py.trust.custody import MAX_WAITING_BYTES
from firmware_py.trust.heard import HeartbeatHeard
from firmware_py.trust.upkeep import KEYS_EVERY_NS
from tests.firmware import rights
from tests.firmware.test_upkeep import DEADLINE_S, Keeping, keeping

__all__ = ["keeping"]


async def test_a_burst_of_large_changes_waits_in_little_memory_and_none_is_lost(
    keeping: Keeping,
) -> None:
    keeping.hear(keeping.site.change(rights.terminal(), rights.policy()))
    for _ in range(500):  # no turn of the loop between them
        keeping.hear(b"x" * MAX_CHANGE_BYTES)
    waiting = sum(map(len, keeping.custody.waiting))
    assert waiting <= MAX_WAITING_BYTES
    keeping.hear(keeping.site.change(rights.entitlement()))
    await keeping.until_held(Version(1, 2))


async def test_a_made_up_key_named_again_and_again_asks_the_gateway_seldom(
    keeping: Keeping,
) -> None:
    keeping.hear(keeping.site.change(rights.terminal(), rights.policy()))
    beat = keeping.site.gateway.heartbeat(rights.NOW_MS + 1000)
    forged = beat.seal(rights.signer("somebody-else")).to_bytes()

    asked, keys = asyncio.Event(), keeping.site.keys

    async def asked_for_keys() -> Envelope:
        asked.set()
        return await keys()

    keeping.site.keys = asked_for_keys  # type: ignore[method-assign]

    def name_it() -> None:
        now_ns = keeping.clock.monotonic_ns()
        keeping.custody.hear_heartbeat(HeartbeatHeard(forged, now_ns, answer=False))

    async with asyncio.timeout(DEADLINE_S):
        name_it()
        await asked.wait()
        for _ in range(20):
            name_it()
            keeping.site.change(rights.entitlement())
            keeping.beat()  # names a version that is fetched: behind the keys, if these were
            await keeping.until_held(Version(1, len(keeping.site.messages)))
        assert keeping.site.asked.count("keys") == 1
        keeping.clock.advance(KEYS_EVERY_NS / 1e9)
        asked.clear()
        name_it()
        await asked.wait()
