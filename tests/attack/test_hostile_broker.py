"""A broker that is somebody else's: whatever it sends, a terminal works on and believes nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import pytest

from benchmarks.ward.people import STAFF
from benchmarks.ward.site import SITE, Ward
from benchmarks.ward.taps import tap
from benchmarks.ward.terminals import WardTerminal, is_open_for
from contract.ids import TerminalId
from contract.signing import SoftwareSigner
from contract.statements import Heartbeat
from contract.tap import DirectoryVersion
from contract.topics import Site, ToTerminal, site_topic, terminal_topic
from runtime.clock import SystemClock
from runtime.mqtt import Broker, Limits, MqttLink, client_context
from tests.e2e.asking import LONG_DAY, at_work, shows

MEBIBYTE = 1 << 20
BAY = TerminalId("bay-1")
BEATS, CHECKPOINTS = site_topic(Site.HEARTBEAT), site_topic(Site.CHECKPOINT)
CHANGES, INBOX = site_topic(Site.DIRECTORY), terminal_topic(BAY, ToTerminal.INBOX)
RECEIPTS = terminal_topic(BAY, ToTerminal.RECEIPT)


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    folder = tmp_path_factory.mktemp("hostile")
    with Ward(folder / "ward", ("bay-1",), STAFF[:2], LONG_DAY) as ward:
        ward.wait_linked(timeout_s=20.0)
        yield ward


def forged_beat(ward: Ward) -> bytes:
    """A heartbeat of a year hence, by a key that is not the site's."""
    pem = (ward.site.terminal(BAY) / "batch.key.pem").read_bytes()
    beat = Heartbeat(
        site=SITE,
        version=DirectoryVersion(epoch=9, n=9),
        head="0" * 64,  # type: ignore[arg-type]
        checkpoint=None,
        issued_ms=SystemClock().wall_ms() + 365 * 86_400_000,
    )
    return beat.seal(SoftwareSigner.from_pem(pem)).to_bytes()


def spoiled(envelope: bytes) -> bytes:
    """The same under the site's key's name."""
    fields = json.loads(envelope)
    fields["signatures"][0]["sig"] = "MEUCIQ" + fields["signatures"][0]["sig"][6:]
    return json.dumps(fields, separators=(",", ":")).encode()


def hostile(ward: Ward) -> list[tuple[str, bytes]]:
    forged = forged_beat(ward)
    deep, wide = b'{"a":' * 9_000 + b"1" + b"}" * 9_000, b"[" + b"0," * 9_000 + b"0]"
    nonsense = [b"", b"\x00", b"\xff" * 99, b"{}", b"null", deep, wide, b'{"a":1,"a":2}']
    nonsense += [b'{"a":NaN}', b'{"a":1' + b"0" * 5_000 + b"}", b'{"a":"\\ud800"}', b"\n" * 9_000]
    nonsense += [forged, spoiled(forged), forged + b"\n{}"]
    large = b'{"a":"' + b"x" * 900_000 + b'"}'
    everywhere = [BEATS, INBOX, RECEIPTS, CHECKPOINTS, CHANGES]
    return [(topic, each) for each in nonsense for topic in everywhere] + [(CHANGES, large)]


def wait_link(bay: WardTerminal, state: str) -> None:
    shows(bay, lambda view: view["link"] == state)


def resident_bytes(bay: WardTerminal) -> float:
    return bay.footprint()["rss_mb"] * MEBIBYTE


async def flood(ward: Ward, messages: list[tuple[str, bytes]], rounds: int) -> None:
    """As the broker's gateway, retained and not, each taken by the broker."""
    folder = ward.site.gateway
    link = MqttLink(
        Broker("127.0.0.1", ward.broker.port, "gateway"),
        lambda: client_context(
            folder / "operator_ca.crt.pem", folder / "gateway.crt.pem", folder / "gateway.key.pem"
        ),
        limits=Limits(payload_bytes=MEBIBYTE),
    )
    async with asyncio.timeout(60), link:
        for number in range(rounds):
            retain = number == 0
            await asyncio.gather(
                *(link.publish(topic, payload, retain=retain) for topic, payload in messages)
            )


def test_a_flood_of_hostile_statements_changes_nothing_and_hinders_no_tap(ward: Ward) -> None:
    bay, (first, second) = ward["bay-1"], ward.members.values()
    for member in (second, first):
        at_work(ward, bay, member)  # both have proven their PIN: a tap is enough
    wait_link(bay, "online")
    log = bay.folder / "terminal.log"
    ward.gateway.kill()
    before, written = resident_bytes(bay), log.stat().st_size

    messages = hostile(ward)
    asyncio.run(flood(ward, messages, 1))  # all of it was heard once
    flooding = asyncio.Runner()
    with flooding:
        loop = flooding.get_loop()
        running = loop.create_task(flood(ward, messages[:-1], 60))
        tapped = loop.run_until_complete(asyncio.to_thread(tap, bay, ward.box, second))
        loop.run_until_complete(running)

    assert tapped.view["name"] == second.shown
    assert tapped.total_ms < 2_000
    wait_link(bay, "offline")  # nobody was taken for the gateway
    assert bay.process.alive
    assert resident_bytes(bay) - before < 40 * MEBIBYTE
    assert log.stat().st_size - written < 64 * 1024
    ward.start_gateway()
    ward.wait_linked(timeout_s=20.0)
    wait_link(bay, "online")


def test_what_a_hostile_broker_retained_is_not_heard_by_a_terminal_that_starts(ward: Ward) -> None:
    bay, (first, _) = ward["bay-1"], ward.members.values()
    bay.kill()
    bay.boot()
    wait_link(bay, "online")
    at_work(ward, bay, first)
    latest = bay.glass.latest
    assert latest is not None
    assert is_open_for(latest.view, first)
    version = ward.ask("/v1/fleet")["terminals"][0]["status"]["directory"]
    assert version["epoch"] == 1
