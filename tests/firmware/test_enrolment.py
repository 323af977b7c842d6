"""A first boot, on a running gateway: what is sent to whom, and what a power cut leaves."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from contract.enrolment import EnrolmentFile
from contract.ids import Digest, SiteId, TerminalId, WardId
from firmware_py.enrolment import progress
from firmware_py.enrolment.journey import Journey
from firmware_py.enrolment.progress import Need, Progress
from firmware_py.site.keystore import FileKeys
from firmware_py.site.place import is_enrolled
from runtime.clock import ManualClock, SystemClock
from tests.gateway.enrolling import Device, Enrolling, made_enrolling, now_ms

MOST_CUTS = 60
DAY_S = 24 * 3600


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Enrolling]:
    with made_enrolling(tmp_path_factory.mktemp("enrol")) as site:
        yield site


def paper(at: Enrolling, device: Device, **changes: object) -> EnrolmentFile:
    return EnrolmentFile(
        site=SiteId(device.site),
        terminal=TerminalId(device.name),
        ward=WardId("ed"),
        root_fingerprint=Digest(at.box.identity.fingerprint),
        enrol_url=f"https://127.0.0.1:{at.enrol_port}",
        gateway_url=f"https://127.0.0.1:{at.box.https_port}",
        broker_host="127.0.0.1",
        broker_port=8883,
        token=device.token,
        until_ms=now_ms() + 1000,
    ).model_copy(update=changes)


class Glass:
    """What a first boot shows, and waiting for it."""

    def __init__(self) -> None:
        self.shown: list[Progress] = []
        self._news = asyncio.Event()

    def show(self, shown: Progress) -> None:
        self.shown.append(shown)
        self._news.set()

    async def until(self, need: Need, words: str) -> Progress:
        async with asyncio.timeout(20):
            while True:
                for one in self.shown:
                    if one.at is need and words in one.words:
                        return one
                self._news.clear()
                await self._news.wait()


@asynccontextmanager
async def booting(
    folder: Path, file: EnrolmentFile, clock: SystemClock | ManualClock | None = None
) -> AsyncIterator[tuple[Glass, asyncio.Task[None]]]:
    glass, identity = Glass(), folder / "identity"
    identity.mkdir(exist_ok=True)
    (folder / "enrolment.json").write_bytes(file.to_bytes())
    journey = Journey(
        folder / "enrolment.json",
        identity,
        FileKeys(),
        clock or SystemClock(),
        random.Random(),
        glass.show,
    )
    task = asyncio.create_task(journey.run())
    try:
        yield glass, task
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_what_answers_with_another_root_hears_nothing_secret(
    site: Enrolling, tmp_path: Path
) -> None:
    (device,) = site.grant("bay-wrong-root")
    file = paper(site, device, root_fingerprint="00" * 32)
    async with booting(tmp_path, file) as (glass, _):
        shown = await glass.until(Need.GATEWAY, "not the site")
        assert "token was not sent" in shown.words
    assert site.kept(device.name)["tokens"][0]["used_ms"] is None
    assert (tmp_path / "enrolment.json").exists()
    assert not list((tmp_path / "identity").glob("*.pem"))
    assert not (tmp_path / "identity" / "keys.dsse").exists()


async def test_what_answers_for_another_site_hears_nothing_secret(
    site: Enrolling, tmp_path: Path
) -> None:
    (device,) = site.grant("bay-other-site")
    async with booting(tmp_path, paper(site, device, site="county-general")) as (glass, _):
        await glass.until(Need.GATEWAY, "not the site")
    assert site.kept(device.name)["tokens"][0]["used_ms"] is None


async def test_a_gateway_that_is_away_is_said_beside_what_is_done_already(
    site: Enrolling, tmp_path: Path
) -> None:
    (device,) = site.grant("bay-nowhere")
    nowhere = paper(site, device, enrol_url="https://127.0.0.1:1")
    async with booting(tmp_path, nowhere) as (glass, _):
        shown = (await glass.until(Need.GATEWAY, "does not answer")).view().around.enrolling
        assert shown is not None
        assert [step.state for step in shown.steps[:4]] == ["done"] * 4


async def test_a_machine_whose_clock_stands_years_behind_is_enrolled_all_the_same(
    site: Enrolling, tmp_path: Path
) -> None:
    (device,) = site.grant("bay-no-clock")

    class Behind(SystemClock):
        def wall_ms(self) -> int:
            return 4_000_000_000

    async with booting(tmp_path, paper(site, device), Behind()) as (glass, task):
        async with asyncio.timeout(20):
            await task
    assert any(
        (Need.CLOCK, progress.CLOCK_BEHIND) in one.beside and one.at is Need.TOKEN
        for one in glass.shown
    )
    assert is_enrolled(tmp_path / "identity")


async def test_a_token_of_another_terminal_is_refused_with_its_number(
    site: Enrolling, tmp_path: Path
) -> None:
    mine, other = site.grant("bay-mine", "bay-others")
    async with booting(tmp_path, paper(site, mine, token=other.token)) as (glass, _):
        shown = await glass.until(Need.TOKEN, "refuses this terminal")
        assert shown.reference == "246"
    assert site.kept(other.name)["tokens"][0]["used_ms"] is None


async def test_an_unreadable_enrolment_file_is_said(site: Enrolling, tmp_path: Path) -> None:
    (device,) = site.grant("bay-unread")
    async with booting(tmp_path, paper(site, device)) as (glass, task):
        (tmp_path / "enrolment.json").write_bytes(b"{}")
        await glass.until(Need.FILE, "cannot be read")
        assert not task.done()


@pytest.mark.timeout(120)
def test_the_power_may_go_at_every_step_of_a_first_boot(site: Enrolling, tmp_path: Path) -> None:
    devices = site.grant(*[f"bay-cut-{number}" for number in range(1, MOST_CUTS + 1)])
    for number, device in enumerate(devices, 1):
        (tmp_path / f"{number}.json").write_bytes(paper(site, device).to_bytes())
    before = site.alarms("token-reused")
    argv = [sys.executable, "-m", "tests.firmware.cut_enrolment", str(tmp_path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    cuts = int(done.stdout)
    print(f"{cuts} power cuts")
    assert cuts > 30
    assert site.alarms("token-reused") == before
    used = [device for device in devices if site.kept(device.name)["certificates"]]
    assert len(used) == cuts + 2
    for device in used:
        assert len(site.kept(device.name)["certificates"]) == 1
