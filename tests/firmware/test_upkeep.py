"""What the terminal believes is kept up: changes applied, gaps caught up, damage begun anew."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest_asyncio

from contract.directory import Status
from contract.ids import Digest, Version
from contract.signing import Envelope, sha256
from firmware_py import stores
from firmware_py.fetch import FetchFailed, NotKnown
from firmware_py.items import DirectoryChanged, Item
from firmware_py.trust.custody import Custody, Kept, boot_of
from firmware_py.trust.heard import Asked, DirectoryHeard, HeartbeatHeard
from firmware_py.trust.sitetime import Memory, Moment, SiteTime
from firmware_py.trust.statements import Keys, Replace, judge_keys
from firmware_py.trust.upkeep import Upkeep
from runtime.clock import ManualClock
from tests.firmware import rights

DEADLINE_S = 5.0


class Site:
    """A gateway whose answers are the test's."""

    def __init__(self) -> None:
        self.gateway = rights.Gateway()
        self.messages: list[bytes] = []
        self.away = False
        self.forgets = False
        """It cannot continue from where the terminal stands."""
        self.asked: list[str] = []
        self.bodies: dict[Digest, bytes] = {}
        self.roots_line = b""
        """How this site's roots follow one another."""

    def change(self, *entries: Any) -> bytes:  # noqa: ANN401
        self.messages.append(self.gateway.change(*entries))
        return self.messages[-1]

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if self.away:
            raise FetchFailed("away")

    async def keys(self) -> Envelope:
        self._ask("keys")
        return rights.key_envelope(self.gateway.epoch)

    async def roots(self) -> bytes:
        self._ask("roots")
        return self.roots_line

    async def manifest(self) -> Envelope:
        self._ask("manifest")
        manifest, listed, chunks = self.gateway.snapshot()
        self.bodies = {sha256(body): body for body in (listed, *chunks)}
        return Envelope.from_bytes(manifest)

    async def chunk(self, digest: Digest) -> bytes:
        self._ask("chunk")
        return self.bodies[digest]

    async def changes(self, after: Version) -> tuple[bytes, ...]:
        self._ask("changes")
        if self.forgets:
            raise NotKnown("410")
        return tuple(self.messages[after.n :][:2])


class Keeping:
    """Custody and upkeep before such a site."""

    def __init__(self, folder: Path) -> None:
        self.site = Site()
        self.clock = ManualClock(wall_ms=rights.NOW_MS)
        self.alarms: list[str] = []
        self.told: list[Item] = []
        self.news = asyncio.Event()
        self.folder = stores.open_folder(folder)
        now = Moment(boot_of(self.clock), 1000)
        time = SiteTime.at_start(self.folder.trust.remembered.time, rights.NOW_MS, now)
        directory = stores.open_directory(self.folder)
        self.custody = Custody(
            Kept(
                rights.TERMINAL, rights.ROOT_FINGERPRINT, directory, self.folder.trust, rights.KEYS
            ),
            time,
            self.clock,
        )
        self.custody.sound = lambda code, subject=None, why="": self.alarms.append(code)
        self.keys_taken = asyncio.Event()
        take_keys = self.custody.take_keys

        def taken(keys: Keys) -> None:
            take_keys(keys)
            self.keys_taken.set()

        self.custody.take_keys = taken  # type: ignore[method-assign]
        self.time_kept = asyncio.Event()
        keep_time, loop = self.folder.trust.keep_time, asyncio.get_running_loop()

        def kept(memory: Memory) -> None:
            keep_time(memory)
            loop.call_soon_threadsafe(self.time_kept.set)

        self.folder.trust.keep_time = kept  # type: ignore[method-assign]
        self.upkeep = Upkeep(
            self.custody, self.folder.directory_path, self.site, self.clock, self._tell
        )

    def _tell(self, item: Item) -> None:
        self.told.append(item)
        self.news.set()

    async def until_held(self, version: Version) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while self.custody.version < version:
                self.news.clear()
                await self.news.wait()

    async def until_kept(self, promise: Callable[[Memory], bool]) -> None:
        """Until the time on the disk is such."""
        async with asyncio.timeout(DEADLINE_S):
            while (time := self.folder.trust.remembered.time) is None or not promise(time):
                self.time_kept.clear()
                await self.time_kept.wait()

    def hear(self, message: bytes) -> None:
        self.custody.hear_change(DirectoryHeard(message))

    def beat(self) -> None:
        data = self.site.gateway.beat(rights.NOW_MS + 1000)
        self.custody.hear_heartbeat(HeartbeatHeard(data, self.clock.monotonic_ns(), answer=False))


@pytest_asyncio.fixture
async def keeping(tmp_path: Path) -> AsyncIterator[Keeping]:
    keeping = Keeping(tmp_path / "state")
    task = asyncio.create_task(keeping.upkeep.run())
    yield keeping
    task.cancel()
    await asyncio.wait([task])
    keeping.custody.kept.directory.close()
    keeping.folder.lock.release()


async def test_changes_are_applied_in_order_and_each_is_told(keeping: Keeping) -> None:
    keeping.hear(keeping.site.change(rights.terminal(), rights.policy()))
    keeping.hear(keeping.site.change(rights.entitlement()))
    await keeping.until_held(Version(1, 2))
    told = [item.held.version.n for item in keeping.told if isinstance(item, DirectoryChanged)]
    assert told == [1, 2]
    assert keeping.site.asked == []
    assert keeping.custody.entitlement(rights.GUID) is not None


async def test_a_missed_change_is_fetched_with_all_that_follow(keeping: Keeping) -> None:
    keeping.hear(keeping.site.change(rights.terminal(), rights.policy()))
    await keeping.until_held(Version(1, 1))
    keeping.site.change(rights.entitlement())  # never heard
    keeping.hear(keeping.site.change(rights.entitlement(status=Status.REVOKED)))
    await keeping.until_held(Version(1, 3))
    assert set(keeping.site.asked) == {"changes"}
    held = keeping.custody.entitlement(rights.GUID)
    assert held is not None
    assert held.status is Status.REVOKED


async def test_a_heartbeat_that_names_a_later_version_is_enough(keeping: Keeping) -> None:
    keeping.hear(keeping.site.change(rights.terminal(), rights.policy()))
    await keeping.until_held(Version(1, 1))
    keeping.site.change(rights.entitlement())
    keeping.beat()
    await keeping.until_held(Version(1, 2))


async def test_the_first_confirmation_of_a_directory_is_kept_at_once(keeping: Keeping) -> None:
    """Else a daemon killed within its first minute knows the time, and no age of its rights."""
    custody = keeping.custody
    keeping.site.change(rights.terminal(), rights.policy())
    nonce, now_ns = "7c" * 32, keeping.clock.monotonic_ns()
    custody.asked(Asked(nonce, now_ns))
    answer = keeping.site.gateway.beat(rights.NOW_MS + 1000, nonce)
    custody.hear_heartbeat(HeartbeatHeard(answer, now_ns, answer=True))  # nothing is held yet
    await keeping.until_held(Version(1, 1))
    await keeping.until_kept(lambda time: time.anchor is not None)
    keeping.beat()
    await keeping.until_kept(lambda time: time.confirmed_ms is not None)


async def test_a_new_terminal_takes_the_snapshot(keeping: Keeping) -> None:
    keeping.site.change(rights.terminal(), rights.policy())
    keeping.site.change(rights.entitlement())
    keeping.beat()
    await keeping.until_held(Version(1, 2))
    assert "manifest" in keeping.site.asked
    assert keeping.custody.entitlement(rights.GUID) is not None
    (told,) = [item for item in keeping.told if isinstance(item, DirectoryChanged)]
    assert told.change is None


async def test_where_the_gateway_cannot_continue_a_snapshot_is_taken(keeping: Keeping) -> None:
    keeping.hear(keeping.site.change(rights.terminal(), rights.policy()))
    await keeping.until_held(Version(1, 1))
    keeping.site.forgets = True
    keeping.site.change(rights.entitlement())
    keeping.beat()
    await keeping.until_held(Version(1, 2))
    assert keeping.site.asked[:2] == ["changes", "manifest"]


async def test_a_gateway_that_is_away_is_asked_again(keeping: Keeping) -> None:
    keeping.site.away = True
    keeping.site.change(rights.terminal(), rights.policy())
    keeping.beat()
    async with asyncio.timeout(DEADLINE_S):
        while not keeping.site.asked:
            await keeping.clock.next_deadline()
            keeping.clock.advance(0.5)
            await asyncio.sleep(0)
    assert not keeping.custody.has_directory
    keeping.site.away = False
    keeping.upkeep.hurry()
    await keeping.until_held(Version(1, 1))


async def test_a_forged_change_is_refused_and_alarmed(keeping: Keeping) -> None:
    keeping.hear(keeping.site.change(rights.terminal(), rights.policy()))
    await keeping.until_held(Version(1, 1))
    stranger = rights.Gateway()
    stranger.change(rights.terminal())
    keeping.hear(stranger.change(rights.entitlement(), previous=sha256(b"another past")))
    keeping.hear(keeping.site.change(rights.policy()))
    await keeping.until_held(Version(1, 2))
    assert keeping.alarms == ["statement-refused"]
    assert keeping.custody.entitlement(rights.GUID) is None


async def test_a_damaged_directory_is_none_and_is_fetched_anew(keeping: Keeping) -> None:
    keeping.hear(keeping.site.change(rights.terminal(), rights.policy(), rights.entitlement()))
    await keeping.until_held(Version(1, 1))
    with closing(sqlite3.connect(keeping.folder.directory_path)) as connection, connection:
        connection.execute("UPDATE entry SET line = ?", (b'{"type":"nonsense"}',))
    mark = len(keeping.told)
    assert keeping.custody.entitlement(rights.GUID) is None
    assert keeping.custody.place().directory is None
    async with asyncio.timeout(DEADLINE_S):
        while len(keeping.told) == mark:
            keeping.news.clear()
            await keeping.news.wait()
    assert keeping.custody.has_directory
    assert keeping.custody.entitlement(rights.GUID) is not None


async def test_another_key_epoch_is_learnt_from_the_root_alone(keeping: Keeping) -> None:
    keeping.hear(keeping.site.change(rights.terminal(), rights.policy()))
    await keeping.until_held(Version(1, 1))
    later = keeping.site.gateway
    later.epoch = 2
    keeping.hear(keeping.site.change(rights.entitlement()))  # signed by a key not yet known
    keeping.site.messages = [b"", keeping.site.messages[-1]]
    await keeping.keys_taken.wait()
    keeping.beat()
    await keeping.until_held(Version(2, 1))
    kept = keeping.folder.trust.remembered.keys
    assert kept is not None
    judged = judge_keys(kept, rights.ROOT_FINGERPRINT, rights.SITE, rights.KEYS)
    assert isinstance(judged, Replace)
    assert judged.keys.epoch == 2
