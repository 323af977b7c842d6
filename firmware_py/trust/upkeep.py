"""Keeps what the terminal believes: applies changes, catches up, remembers the time (DESIGN §6).

One task; what it writes it writes in a thread, one after the other, and tells the terminal when it
is durable. Behind (a gap, or a heartbeat that names a later version) it asks the gateway for the
changes in between, and takes a snapshot where that cannot be. A failed attempt is repeated later;
nothing of it is waited for by a tap.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, Protocol

from contract.ids import Digest, Version
from contract.signing import Envelope, SignatureRefused
from contract.succession import follow, split_line
from contract.wire import WireError
from firmware_py.fetch import FetchFailed, NotKnown
from firmware_py.items import DirectoryChanged, Item
from firmware_py.trust import snapshot
from firmware_py.trust import statements as trust
from firmware_py.trust.custody import Custody
from firmware_py.trust.store import (
    Directory,
    DirectoryDamaged,
    DirectoryFailed,
    OutOfOrder,
    set_aside,
)
from runtime.clock import Clock
from runtime.durable import StorageError
from runtime.logs import Trouble
from runtime.settings import CertificateError
from runtime.supervisor import first_of

LOG: Final = logging.getLogger("tapover.upkeep")

_S: Final = 1_000_000_000
KEEP_TIME_NS: Final = 60 * _S
RETRY_FIRST_NS: Final = 1 * _S
RETRY_MOST_NS: Final = 60 * _S
# Anybody can name an unknown key; a site changes its keys once in years.
KEYS_EVERY_NS: Final = 10 * _S
NEVER_NS: Final = 1 << 62

_EXPECTED: Final = (
    *(FetchFailed, DirectoryDamaged, DirectoryFailed, OutOfOrder),
    *(StorageError, CertificateError),
)


class Source(Protocol):
    """Where what is missing is fetched; each raises FetchFailed (``fetch.Gateway``)."""

    async def keys(self) -> Envelope:
        """The key statement."""
        ...

    async def roots(self) -> bytes:
        """How the site's roots follow one another."""
        ...

    async def manifest(self) -> Envelope:
        """The newest snapshot's manifest; NotKnown before the first change."""
        ...

    async def chunk(self, digest: Digest) -> bytes:
        """What a reading wants next."""
        ...

    async def changes(self, after: Version) -> tuple[bytes, ...]:
        """Messages that follow; NotKnown when they cannot be had one by one."""
        ...


class Upkeep:
    """Belongs to the loop's thread; `run` is its task."""

    def __init__(
        self,
        custody: Custody,
        directory: Path,
        source: Source,
        clock: Clock,
        post: Callable[[Item], None],
        follow: Callable[[trust.Keys], Awaitable[None]] | None = None,
    ) -> None:
        """`directory` is the database's path, in case it must be begun anew.

        `follow` is awaited with new keys, durable already, before they are believed here; it raises
        CertificateError.
        """
        self._custody = custody
        self._path = directory
        self._source = source
        self._clock = clock
        self._post = post
        self._follow = follow or _nobody
        self._wake = asyncio.Event()
        self._trouble = Trouble(LOG, "catching up with the site")
        self._retry_ns = RETRY_FIRST_NS
        self._retry_at_ns = 0
        self._keys_at_ns = 0
        self._roots_at_ns = 0
        custody.on_work = self._wake.set

    def hurry(self) -> None:
        """The link is up again: try at once."""
        self._retry_at_ns, self._retry_ns = 0, RETRY_FIRST_NS
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled."""
        keep_at_ns = 0
        try:
            while True:
                self._wake.clear()
                await self._work()
                now_ns = self._clock.monotonic_ns()
                if self._custody.time_to_keep or now_ns >= keep_at_ns:
                    await self._keep_time()
                    keep_at_ns = now_ns + KEEP_TIME_NS
                until_ns = min(keep_at_ns, max(self._due_at_ns, now_ns))
                await first_of(self._wake.wait(), self._clock.sleep_until(until_ns))
        finally:
            self._custody.kept.store.keep_time(
                self._custody.time.memory(self._custody.monotonic_ms())
            )

    @property
    def _behind(self) -> bool:
        custody = self._custody
        wanted = custody.wanted is not None and custody.wanted > custody.version
        return self._keys_due or not custody.whole or wanted

    @property
    def _due_at_ns(self) -> int:
        """When something missing is to be fetched."""
        if self._behind:
            return self._retry_at_ns
        return self._keys_at_ns if self._custody.keys_wanted else NEVER_NS

    @property
    def _keys_due(self) -> bool:
        return self._custody.keys_wanted and self._clock.monotonic_ns() >= self._keys_at_ns

    async def _work(self) -> None:
        """Apply what has come; fetch what is missing, unless the last try has only just failed."""
        if (heard := self._custody.keys_heard) is not None:
            self._custody.keys_heard = None
            await self._guarded(self._take_keys(heard))
        while self._custody.waiting:
            await self._guarded(self._take_change(self._custody.waiting.popleft()))
        if self._behind and self._clock.monotonic_ns() >= self._retry_at_ns:
            if await self._guarded(self._catch_up()):
                self._retry_ns = RETRY_FIRST_NS
                self._retry_at_ns = 0
                self._trouble.over()
                return
            self._retry_at_ns = self._clock.monotonic_ns() + self._retry_ns
            # A link that waits for new keys waits as long as we do.
            most_ns = KEYS_EVERY_NS if self._custody.keys_wanted else RETRY_MOST_NS
            self._retry_ns = min(2 * self._retry_ns, most_ns)

    async def _guarded(self, attempt: Awaitable[None]) -> bool:
        try:
            await attempt
        except _EXPECTED as error:
            self._trouble.failed(f"{type(error).__name__}: {error}")
            return False
        return True

    async def _keep_time(self) -> None:
        custody = self._custody
        custody.time_to_keep = False
        memory = custody.time.memory(custody.monotonic_ms())
        await self._guarded(asyncio.to_thread(custody.kept.store.keep_time, memory))

    async def _catch_up(self) -> None:
        custody = self._custody
        if custody.damaged:
            custody.kept.directory.close()
            custody.take_directory(await asyncio.to_thread(self._begin_directory_anew))
        if self._keys_due:
            await self._fetch_keys()
        if self._behind:
            await self._fetch_directory()
        custody.wanted = None

    def _begin_directory_anew(self) -> Directory:
        """The damaged one is kept aside for whoever looks into it."""
        set_aside(self._path)
        highest = self._custody.kept.store.remembered.highest
        return Directory.open_or_replace(self._path, highest).directory

    async def _fetch_keys(self) -> None:
        custody = self._custody
        try:
            data = (await self._source.keys()).to_bytes()
        except FetchFailed:
            custody.settle_doubts(renewed=False)
            raise
        await self._take_keys(data)
        custody.settle_doubts(renewed=False)
        custody.keys_wanted = False
        self._keys_at_ns = self._clock.monotonic_ns() + KEYS_EVERY_NS

    async def _take_keys(self, data: bytes) -> None:
        custody = self._custody
        kept = custody.kept
        judged = trust.judge_keys(data, kept.fingerprint, kept.keys.site, kept.keys)
        if isinstance(judged, trust.Refused) and judged.fault is trust.Fault.WRONG_ROOT:
            await self._follow_roots()
            judged = trust.judge_keys(data, kept.fingerprint, kept.keys.site, kept.keys)
        match judged:
            case trust.Replace(keys):
                await asyncio.to_thread(kept.store.keep_keys, data)
                await self._follow(keys)
                custody.take_keys(keys)
                LOG.info("the site has new keys", extra={"epoch": keys.epoch})
            case trust.Refused() as refused:
                custody.refused(refused)
            case trust.UpToDate():
                pass

    async def _follow_roots(self) -> None:
        """The root held may have declared another one: asked for no more often than for keys."""
        kept, now_ns = self._custody.kept, self._clock.monotonic_ns()
        if now_ns < self._roots_at_ns:
            return
        self._roots_at_ns = now_ns + KEYS_EVERY_NS
        try:
            line = await self._source.roots()
            roots = follow(kept.fingerprint, kept.keys.site, split_line(line))
        except (FetchFailed, SignatureRefused, WireError) as error:
            LOG.warning("no other root is declared", extra={"why": str(error)})
            return
        if len(roots) > 1:
            await asyncio.to_thread(kept.store.keep_roots, line)
            kept.fingerprint = roots[-1]
            LOG.warning("the site has another root", extra={"fingerprint": roots[-1]})

    async def _fetch_directory(self) -> None:
        custody = self._custody
        while custody.has_directory:
            before = custody.version
            try:
                messages = await self._source.changes(before)
            except NotKnown:
                break
            for message in messages:
                await self._take_change(message)
            if not messages:
                return
            if custody.version == before:
                raise FetchFailed("changes that do not lead on")
        await self._fetch_snapshot()

    async def _fetch_snapshot(self) -> None:
        custody = self._custody
        kept = custody.kept
        data = (await self._source.manifest()).to_bytes()
        highest = kept.store.remembered.highest
        judged = snapshot.judge_manifest(data, kept.keys, highest, kept.directory.held)
        match judged:
            case trust.UpToDate():
                return
            case trust.Refused():
                raise self._refusal(judged)
        writer = await asyncio.to_thread(kept.directory.begin_snapshot)
        try:
            while (wanted := judged.wanted) is not None:
                taken = snapshot.take(judged, await self._source.chunk(wanted))
                if isinstance(taken, trust.Refused):
                    raise self._refusal(taken)  # noqa: TRY301 - what was added is dropped below
                await asyncio.to_thread(writer.add, taken.rows)
                judged = taken.reading
            await asyncio.to_thread(writer.swap, judged.held)
        except BaseException:
            await asyncio.to_thread(writer.abandon)
            raise
        await self._applied(None)

    def _refusal(self, refused: trust.Refused) -> FetchFailed:
        self._custody.refused(refused)
        return FetchFailed(f"the gateway's statement is refused: {refused.fault}")

    async def _take_change(self, message: bytes) -> None:
        custody = self._custody
        if not custody.whole:
            return  # only a snapshot will do
        kept = custody.kept
        match trust.judge_change(message, kept.keys, kept.directory.held):
            case trust.Apply(change):
                custody.want(change.held.version)
                await asyncio.to_thread(kept.directory.apply, change)
                await self._applied(change)
            case trust.GapTo(version):
                custody.want(version)
            case trust.Refused() as refused:
                custody.refused(refused)
            case trust.UpToDate():
                pass

    async def _applied(self, change: trust.Change | None) -> None:
        """Tell at once: a revocation must not wait for the memory of it to be durable."""
        kept = self._custody.kept
        held = kept.directory.held
        self._post(DirectoryChanged(held, change))
        await asyncio.to_thread(kept.store.keep_highest, held)


async def _nobody(_: trust.Keys) -> None:
    """Follows nothing."""
