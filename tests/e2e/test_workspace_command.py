"""A site's own program shows the work: by real taps, one person's at a time, or nobody's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from benchmarks.ward.people import STAFF
from benchmarks.ward.site import Ward
from tests.e2e.asking import LONG_DAY, Mark, at_work, tap
from tests.firmware.hooks import PROGRAM


@pytest.fixture(scope="module")
def folder(module_tmp: Path) -> Path:
    """Where the program is, and what it shows."""
    folder = module_tmp / "workspace"
    folder.mkdir()
    (folder / "program").write_text(PROGRAM.replace('"$HOME"', f'"{folder}"'))
    (folder / "program").chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def ward(module_tmp: Path, folder: Path) -> Iterator[Ward]:
    """One terminal, whose settings name the program."""
    settings: dict[str, int | float | str] = {
        "workspace.backend": "command",
        "workspace.command": str(folder / "program"),
        "workspace.limit_s": 2.0,
    }
    with Ward(module_tmp / "ward", ("bay-1",), STAFF[:2], LONG_DAY, settings=settings) as ward:
        yield ward


def shown(folder: Path) -> str | None:
    """Whose work is to be seen, by the program's own account."""
    glass = folder / "glass"
    return glass.read_text() if glass.exists() else None


def session_of(mark: Mark, holder: str) -> str:
    """The session that a holder's tap has opened or resumed since."""
    changed = mark.wait_for("session.changed", lambda d: d["change"] in ("opened", "resumed"))
    assert changed["holder"] == holder
    return str(changed["session"])


def test_each_tap_over_shows_the_newcomers_work_and_the_lock_comes_first(
    ward: Ward, folder: Path
) -> None:
    bay, amal, bronwen = ward["bay-1"], ward.member("h-amal"), ward.member("h-bronwen")
    at_work(ward, bay, bronwen)
    for member in (amal, bronwen, amal, bronwen):
        mark = Mark.now(ward, bay)
        at_work(ward, bay, member)
        assert shown(folder) == session_of(mark, member.entitlement.holder)
    told = [json.loads(line) for line in (folder / "told").read_text().splitlines()]
    assert told[0]["verb"] == "lock"
    for one in told:
        assert set(one) == {"verb", "session", "initials", "position", "role", "kind"}
    shows = [at for at, one in enumerate(told) if one["verb"] == "show"]
    for before, at in pairwise(shows):
        assert "lock" in {one["verb"] for one in told[before:at]}
    assert '"workspace ready"' in (bay.folder / "terminal.log").read_text()


def test_a_program_that_hangs_ends_locked_and_the_next_tap_tries_again(
    ward: Ward, folder: Path
) -> None:
    bay, amal, bronwen = ward["bay-1"], ward.member("h-amal"), ward.member("h-bronwen")
    at_work(ward, bay, amal)
    mark = Mark.now(ward, bay)
    (folder / "hang.show").touch()
    tap(ward, bay, bronwen, lambda view: view["screen"] == "locked")
    assert mark.wait_for("session.changed", lambda d: d["change"] == "locked")["cause"] == "fault"
    assert shown(folder) is None
    (folder / "hang.show").unlink()
    at_work(ward, bay, bronwen)
    assert shown(folder) is not None
