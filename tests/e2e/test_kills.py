"""Whatever process is killed, and whenever: nothing lost, nothing doubled, everything proven."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

import tapover_verify
from benchmarks.ward.evidence import export, wait_covered, wait_delivered
from benchmarks.ward.kills import CREW, REPORT, Kills, Shift, Victim
from benchmarks.ward.phases import Phase
from benchmarks.ward.site import Ward

# The one that ran stands in build/kills.json and in each failure; KILLS_SEED=… tries another.
SEED: Final = os.environ.get("KILLS_SEED", "an ordinary day")
ROUNDS: Final = 4  # the first is the quick one; in all 12 kills a phase
SAMPLE: Final = 200
# With each of the three killed; `test_every_phase_was_hit` kills a terminal in all the others.
QUICK: Final = (Phase.FLUSH, Phase.COMMIT)

pytestmark = pytest.mark.timeout(180)
rounds = pytest.mark.parametrize(
    "luck",
    [
        pytest.param(f"{SEED}, {n}", id=f"round {n}", marks=pytest.mark.full if n else ())
        for n in range(ROUNDS)
    ],
)


@dataclass
class Story:
    """One ward for the whole file, on which the shift goes on from test to test."""

    kills: Kills
    shift: Shift
    small: Path
    """What the log held when one person had signed on."""

    def all_is_proven(self, name: str) -> None:
        """Delivered, accepted by the verifier, and as the driver saw it."""
        with self.shift.pause():
            found, book = self.kills.audit(name)
        print(
            f"{name}: {book.shown} shown, {book.signed} signed, {book.unspent} cut short; {found}"
        )
        assert found.verified, found.words
        assert book.differences() == []
        assert (found.lost, found.duplicated, found.unproven) == (0, 0, 0)


@pytest.fixture(scope="module")
def story(module_tmp: Path) -> Iterator[Story]:
    with Ward(module_tmp / "ward") as ward:
        kills, (first, *others) = Kills(ward), CREW
        kills.sign_on(*first)
        wait_delivered(ward)
        wait_covered(ward)
        export(ward, small := module_tmp / "small")
        for where, who in others:
            kills.sign_on(where, who)
        with Shift(kills) as shift:
            yield Story(kills, shift, small)
        print("histogram", kills.histogram, "in", REPORT)


@rounds
@pytest.mark.parametrize(
    "phase", [pytest.param(one, marks=() if one in QUICK else pytest.mark.full) for one in Phase]
)
def test_a_kill_loses_nothing_and_doubles_nothing(story: Story, phase: Phase, luck: str) -> None:
    for victim in Victim:
        print(story.kills.kill(phase, victim, luck))
    story.all_is_proven(f"{phase} {luck}")


@rounds
def test_a_terminal_killed_in_a_burst_of_taps_leaves_a_whole_journal(
    story: Story, luck: str
) -> None:
    print(story.kills.kill_in_a_burst(luck))
    story.all_is_proven(f"burst {luck}")


def test_every_phase_was_hit(story: Story) -> None:
    for phase in Phase:
        for again in range(10):
            if phase in story.kills.hit:
                break
            print(story.kills.kill(phase, Victim.TERMINAL, f"{SEED}, again {again}"))
    assert set(Phase) <= story.kills.hit, story.kills.histogram
    story.all_is_proven("every phase")


def test_a_lost_a_doubled_and_a_foreign_outcome_would_be_noticed(story: Story) -> None:
    with story.shift.pause():
        story.kills.audit("control")
        bodies = story.kills.exported
        opened = next(body for body in bodies if b'"result":"opened"' in body)
        others = [body for body in bodies if body != opened]
        elsewhere = opened.replace(b'"sequence":', b'"sequence":7')
        signature = json.loads(opened)["detail"]["signature"].encode()
        foreign = opened.replace(signature, b"A" * len(signature))
        assert story.kills.held_against(bodies).differences() == []
        assert story.kills.held_against(others).lost
        assert story.kills.held_against([*bodies, opened]).doubled
        assert story.kills.held_against([*bodies, elsewhere]).doubled
        assert story.kills.held_against([*others, foreign]).unproven


def test_a_real_export_is_refused_after_any_one_of_its_bytes_is_changed(story: Story) -> None:
    luck = random.Random(SEED)
    places = luck.sample(_places(story.small), SAMPLE)
    assert _accepted(story, [(path, at, luck.randrange(1, 256)) for path, at in places]) == []


@pytest.mark.full
@pytest.mark.timeout(3000)
def test_a_real_export_is_refused_after_each_one_of_its_bytes_is_changed(story: Story) -> None:
    luck = random.Random(SEED)
    places = _places(story.small)
    assert _accepted(story, [(path, at, luck.randrange(1, 256)) for path, at in places]) == []


def _places(folder: Path) -> list[tuple[Path, int]]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [(path, at) for path in files for at in range(path.stat().st_size)]


def _accepted(story: Story, changes: list[tuple[Path, int, int]]) -> list[str]:
    """Which of these changes (file, offset, other bits) the auditor's program lets pass."""
    arguments = [str(story.small), "--root", story.kills.ward.site.root_fingerprint]
    assert tapover_verify.main(arguments) == 0
    accepted = []
    with story.shift.pause():
        for path, at, bits in changes:
            whole = path.read_bytes()
            path.write_bytes(whole[:at] + bytes([whole[at] ^ bits]) + whole[at + 1 :])
            if tapover_verify.main(arguments) != 1:
                accepted.append(f"{path.relative_to(story.small)}[{at}] ^ {bits}")
            path.write_bytes(whole)
    assert tapover_verify.main(arguments) == 0
    return accepted
