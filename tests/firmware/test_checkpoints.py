"""Checkpoints:

The log that a terminal has seen only ever grows, and it says so when it does not.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.checkpoint import CheckpointMessage
from contract.events import AlarmCode, Event
from contract.tree import ProofRefused
from firmware_py.evidence import checkpoints
from firmware_py.evidence.alarms import Alarms
from firmware_py.evidence.checkpoints import Checkpoints, LogTrust, Step, judge, open_note
from firmware_py.evidence.journal import Journal
from firmware_py.fetch import FetchFailed
from runtime.clock import ManualClock
from tests.firmware.fake_site import LOG_EPOCH, TERMINAL, FakeSite, stamps
from tests.firmware.journals import read_events


class Desk:
    """A keeper of checkpoints, the alarms that it raised, and the gateway that it may ask."""

    def __init__(self, journal: Journal, site: FakeSite, clock: ManualClock) -> None:
        self.site, self.clock, self.journal = site, clock, journal
        self.asked: list[int] = []
        self.away = False
        self.alarms = Alarms(journal, clock)
        self.keeper = Checkpoints(site.trust, self.alarms, clock.monotonic_ns, self.ask)

    async def ask(self, since: int) -> CheckpointMessage:
        self.asked.append(since)
        if self.away:
            raise FetchFailed("away")
        return self.site.checkpoint_message(since)

    def grow(self, leaves: int) -> None:
        for _ in range(leaves):
            self.site.tree.append(b"leaf %d" % len(self.site.tree.leaves))

    def hear(self, since: int, size: int | None = None) -> None:
        self.keeper.receive(self.site.checkpoint_message(since, size).to_bytes())

    @property
    def size(self) -> int | None:
        held = self.keeper.held
        return None if held is None else held.checkpoint.size


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    clock, site = ManualClock(), FakeSite()
    journal = Journal.create(tmp_path / "j.sqlite", TERMINAL, "0.1.0", lambda: stamps(clock))
    yield Desk(journal, site, clock)
    await journal.close()


async def alarm_codes(journal: Journal) -> list[AlarmCode]:
    await journal.run(lambda _c: None)  # behind it, what was appended before is on disk
    details = [Event.from_bytes(data).detail for data in read_events(journal.path)]
    return [detail.code for detail in details if detail.kind == "alarm"]


async def answered() -> None:
    """The question in the background needs no more than a few turns of the loop."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_each_step_is_proven_from_the_one_before(desk: Desk) -> None:
    desk.hear(0)
    for leaves in (1, 1, 5, 40):
        before = desk.size
        assert before is not None
        desk.grow(leaves)
        desk.hear(before)
        assert desk.size == before + leaves
    assert desk.asked == []


async def test_whoever_missed_a_broadcast_asks_for_the_proof_from_his_own(desk: Desk) -> None:
    desk.hear(0)
    held = desk.size
    assert held is not None
    desk.grow(10)
    desk.hear(held + 7)
    assert desk.size == held
    await answered()
    assert (desk.asked, desk.size) == ([held], held + 10)


async def test_an_absent_gateway_is_not_asked_at_every_broadcast(desk: Desk) -> None:
    desk.hear(0)
    desk.away = True
    desk.grow(10)
    for _ in range(50):
        desk.hear(7)
        await answered()
    assert len(desk.asked) == 1
    desk.clock.advance(5)
    desk.away = False
    desk.hear(7)
    await answered()
    assert desk.size == 11


async def test_an_older_or_equal_checkpoint_changes_nothing(desk: Desk) -> None:
    desk.grow(10)
    desk.hear(0)
    desk.hear(0, 4)
    desk.hear(11)
    assert desk.size == 11
    assert (desk.asked, desk.alarms.count) == ([], 0)


@pytest.mark.parametrize("grown", [0, 3])
async def test_a_rewritten_log_is_refused_and_alarmed_and_the_old_word_stays(
    desk: Desk, grown: int
) -> None:
    desk.grow(6)
    desk.hear(0)
    held = desk.keeper.held
    desk.site.tree.leaves[2] = b"another past"
    desk.grow(grown)
    desk.hear(7)
    assert desk.keeper.held == held
    assert desk.alarms.count == 1
    assert await alarm_codes(desk.journal) == [AlarmCode.CHECKPOINT_INCONSISTENT]


async def test_another_keys_word_is_refused(desk: Desk) -> None:
    desk.hear(0)
    held = desk.keeper.held
    impostor = FakeSite(tree=desk.site.tree)
    desk.grow(1)
    desk.keeper.receive(impostor.checkpoint_message(1).to_bytes())
    assert desk.keeper.held == held
    assert await alarm_codes(desk.journal) == [AlarmCode.STATEMENT_REFUSED]


@settings(max_examples=20)
@given(noise=st.binary(max_size=200))
async def test_noise_on_the_topic_is_an_alarm_and_nothing_else(noise: bytes) -> None:
    """Fuzzing ends in our own errors: `receive` lets none out."""
    clock, site = ManualClock(), FakeSite()
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal.create(Path(folder) / "j", TERMINAL, "0.1.0", lambda: stamps(clock))
        desk = Desk(journal, site, clock)
        desk.keeper.receive(noise)
        assert (desk.alarms.count, desk.keeper.held) == (1, None)
        assert await alarm_codes(journal) == [AlarmCode.STATEMENT_REFUSED]
        await journal.close()


@given(data=st.data())
def test_a_step_is_taken_only_between_trees_of_one_history(data: st.DataObject) -> None:
    site = FakeSite()
    for n in range(data.draw(st.integers(1, 40))):
        site.tree.append(b"%d" % n)
    whole = len(site.tree.leaves)
    old = site.checkpoint(data.draw(st.integers(1, whole)))
    new = data.draw(st.integers(old.size, whole))
    changed = data.draw(st.none() | st.integers(0, old.size - 1))
    if changed is not None:
        site.tree.leaves[changed] += b"!"
    message = site.checkpoint_message(old.size, new)
    said = open_note(message.note, site.trust).checkpoint
    if changed is None:
        assert judge(old, message, said) is (Step.SAME if new == old.size else Step.TAKE)
    else:
        with pytest.raises(ProofRefused):
            judge(old, message, said)


async def test_the_checkpoint_held_survives_a_restart_with_its_note(desk: Desk) -> None:
    assert await checkpoints.load(desk.journal, desk.site.trust) is None
    desk.grow(4)
    desk.hear(0)
    held = desk.keeper.held
    assert held is not None
    await desk.journal.run(held.save)
    assert await checkpoints.load(desk.journal, desk.site.trust) == held


async def test_a_new_log_epoch_that_the_root_declared_starts_anew(desk: Desk) -> None:
    desk.hear(0)
    held = desk.keeper.held
    assert held is not None
    await desk.journal.run(held.save)
    later = LogTrust(desk.site.trust.site, LOG_EPOCH + 1, FakeSite().log.public)
    assert await checkpoints.load(desk.journal, later) is None
