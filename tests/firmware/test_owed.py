"""What cannot be journalled, or read any more, is at least in the log: nothing goes in silence."""

from __future__ import annotations

from pathlib import Path

import pytest

from contract.events import Alarm, AlarmCode
from firmware_py.help.kept import Kept
from firmware_py.sessions.machine import Transition
from firmware_py.sessions.stage import MAX_OWED, Stage
from firmware_py.workspace.about import about_of
from firmware_py.workspace.screen import ScreenWorkspace
from tests.firmware.bench import Bench
from tests.firmware.rights import policy


async def test_what_falls_out_of_what_the_journal_is_owed_is_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with Bench(tmp_path / "state") as bench:
        stage = Stage(
            bench.journal,
            ScreenWorkspace(),
            bench.clock,
            policy,
            bench.post,
            lambda session: about_of(bench.custody, session),
        )
        codes = [AlarmCode.CARD_HUNG, *[AlarmCode.PEER_REFUSED] * MAX_OWED]
        for code in codes:
            stage.commit_owed(Transition(stage.newest), (Alarm(code=code),))
        (lost,) = (one for one in caplog.records if one.name == "tapover.stage")
        assert "card-hung" in vars(lost)["event"]
        stage.pay()
        written = [e.detail.code for e in await bench.events() if isinstance(e.detail, Alarm)]
        assert written == codes[1:]


def test_a_damaged_file_of_assignments_is_told_to_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "help.json"
    assert Kept.load(path).messages == {}
    assert not caplog.records  # none was ever kept
    path.write_bytes(b"half a fi")
    assert Kept.load(path).messages == {}
    assert [one.message for one in caplog.records] == ["assignments that waited are lost"]
