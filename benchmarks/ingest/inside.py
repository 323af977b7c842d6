"""The gateway's own part in one process, without a broker: a real store on a real disk.

    python -m benchmarks.ingest.inside FOLDER KIND SIZE EVENTS TERMINALS ROUNDS

`proven` is the product's `Ingest`, from `offer` to sealed receipts; `plain` is the consumer that
proves nothing. Batches are signed before a round's clock starts. A round says `measured` when it
begins, and its result as a line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from benchmarks.ingest import crowd
from benchmarks.ingest.generator import cpu_s
from benchmarks.ingest.plain import Plain
from benchmarks.ingest.scribe import Scribe, Signed
from contract.directory import Terminal
from contract.ids import Digest, SiteId
from contract.journal import Verdict
from gateway import authority, founding
from gateway.directory.register import Register
from gateway.evidence.journal import Moment
from gateway.link.ingest import GROUP, Ingest, Receipts
from gateway.store import Store, sqlite_url
from provisioning.site.folder import SiteFolder, init_site
from runtime.clock import SystemClock

_SITE: Final = SiteId("st-elsewhere")
_DATABASE: Final = "gateway.sqlite"
_WARM_UP_GROUPS: Final = 5


@dataclass(frozen=True, slots=True)
class Round:
    """`seconds` from the first message offered to the last receipt, or commit."""

    events: int
    seconds: float
    cpu_s: float
    database_bytes: int
    """Afterwards, with the write-ahead log."""


class Proven:
    """The product's ingest over a log that is founded as a site's is; made in a running loop."""

    def __init__(self, site: SiteFolder, store: Store, terminals: Sequence[Terminal]) -> None:
        clock = SystemClock()
        root = Digest(site.root_fingerprint)
        known = authority.load(site.gateway, _SITE, root, clock.wall_ms())
        founding.found(store, known, Moment.of(clock))
        evidence = founding.take_up(store, known, root, Moment.of(clock))
        register = Register(known.statement)
        register.apply(terminals)
        self.ingest = Ingest(evidence, register, clock, self._receipted)
        self._done = asyncio.Event()
        self._left = 0

    def _receipted(self, sealed: Receipts) -> None:
        self._left -= len(sealed)
        if self._left == 0:
            self._done.set()

    async def take(self, batches: Sequence[Signed]) -> None:
        """Returns when each is in the log and has its receipt."""
        counts = self.ingest.counts
        before = counts.batches[Verdict.ACCEPTED]
        self._left = len(batches)
        self._done.clear()
        for batch in batches:
            await self.ingest.offer(batch.terminal, batch.message)
        await self._done.wait()
        if counts.batches[Verdict.ACCEPTED] - before != len(batches):
            raise RuntimeError(f"not every batch was accepted: {counts}")


class Bench:
    """Scribes, a store, and rounds over them; the store grows from round to round."""

    def __init__(self, folder: Path, terminals: int) -> None:
        """Makes everything in `folder`."""
        self._folder = folder
        self.site = SiteFolder(folder / "site")
        now_ms = SystemClock().wall_ms()
        init_site(self.site, _SITE, ("127.0.0.1",), None, now_ms)
        names = crowd.names(terminals)
        self.entries = crowd.make(self.site, names, now_ms)
        self._scribes = [Scribe(name, crowd.signer(self.site, name)) for name in names]
        self.store = Store.open(sqlite_url(folder / _DATABASE))
        self._turn = 0

    def signed(self, events: int, size: int) -> list[Signed]:
        """The next batches, the terminals in turn."""
        batches = []
        for _ in range(events // size):
            batches.append(self._scribes[self._turn % len(self._scribes)].cut(size))
            self._turn += 1
        return batches

    async def proven(self, size: int, events: int, rounds: int) -> None:
        """The product's way; a line a round."""
        desk = Proven(self.site, self.store, self.entries)
        running = asyncio.create_task(desk.ingest.run())
        await desk.take(self.signed(_WARM_UP_GROUPS * GROUP * size, size))
        for _ in range(rounds):
            batches = self.signed(events, size)
            gc.collect()
            print("measured", flush=True)
            began, cpu = time.perf_counter(), cpu_s(os.getpid())
            await desk.take(batches)
            self._tell(events, time.perf_counter() - began, cpu_s(os.getpid()) - cpu)
        running.cancel()
        await asyncio.wait({running})

    def plain(self, size: int, events: int, rounds: int) -> None:
        """The consumer's way; a line a round."""
        consumer = Plain(self.store)
        for _ in range(rounds):
            messages = [batch.message for batch in self.signed(events, size)]
            gc.collect()
            print("measured", flush=True)
            began, cpu = time.perf_counter(), cpu_s(os.getpid())
            for start in range(0, len(messages), GROUP):
                consumer.write(messages[start : start + GROUP])
            self._tell(events, time.perf_counter() - began, cpu_s(os.getpid()) - cpu)

    def _tell(self, events: int, seconds: float, cpu: float) -> None:
        size = sum(path.stat().st_size for path in self._folder.glob(f"{_DATABASE}*"))
        print(json.dumps(asdict(Round(events, seconds, cpu, size))), flush=True)


def main() -> None:
    """Runs the rounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("kind", choices=("proven", "plain"))
    for name in ("size", "events", "terminals", "rounds"):
        parser.add_argument(name, type=int)
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True)
    bench = Bench(asked.folder, asked.terminals)
    if asked.kind == "proven":
        asyncio.run(bench.proven(asked.size, asked.events, asked.rounds))
    else:
        bench.plain(asked.size, asked.events, asked.rounds)
    bench.store.close()


if __name__ == "__main__":
    main()
