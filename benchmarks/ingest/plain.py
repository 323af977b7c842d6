"""What proof is compared with: a consumer that stores the same events and proves nothing.

    python -m benchmarks.ingest.plain SITE_FOLDER BROKER_PORT DATABASE

It hears the same messages by the same link, and puts the bodies into the same table of the same
store, in transactions as large as the gateway's. No signature is checked, no chain, no tree, no
receipt. It says how many events it has stored whenever nothing more waits.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from contract.topics import GATEWAY, FromTerminal, any_terminal
from gateway.link.broker import LIMITS
from gateway.link.ingest import GROUP
from gateway.store import Store, sqlite_url
from provisioning.site.folder import SiteFolder
from runtime.mqtt import Broker, MqttLink, client_context

_WAITING: Final = 4 * GROUP


class Plain:
    """Bodies into the store; nobody could tell whether they are true."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._batches = 0
        self.events = 0

    def write(self, messages: Sequence[bytes]) -> None:
        """Commits what the messages carry."""
        rows = []
        for message in messages:
            _, *bodies = message.split(b"\n")
            rows.append((self._batches, bodies))
            self._batches += 1
            self.events += len(bodies)
        with self._store.write() as tx:
            tx.log.add_bodies(rows)


async def consume(link: MqttLink, plain: Plain) -> None:
    """Until the link falls."""
    queue: asyncio.Queue[bytes] = asyncio.Queue(_WAITING)

    async def store() -> None:
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1) as thread:
            while True:
                group = [await queue.get()]
                while len(group) < GROUP and not queue.empty():
                    group.append(queue.get_nowait())
                await loop.run_in_executor(thread, plain.write, group)
                if queue.empty():
                    print(f"stored {plain.events}", flush=True)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(store())
        async for message in link.messages():
            await queue.put(message.payload)


async def _run(site: SiteFolder, port: int, store: Store) -> None:
    folder = site.gateway
    tls = client_context(
        folder / "operator_ca.crt.pem", folder / "gateway.crt.pem", folder / "gateway.key.pem"
    )
    audit = any_terminal(FromTerminal.AUDIT)
    broker = Broker("127.0.0.1", port, GATEWAY)
    async with MqttLink(broker, lambda: tls, subscribe=[audit], limits=LIMITS) as link:
        print("plain consumer ready", flush=True)
        await consume(link, Plain(store))


def main() -> None:
    """Runs until it is stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("site", type=Path)
    parser.add_argument("port", type=int)
    parser.add_argument("database", type=Path)
    asked = parser.parse_args()
    store = Store.open(sqlite_url(asked.database))
    asyncio.run(_run(SiteFolder(asked.site), asked.port, store))


if __name__ == "__main__":
    main()
