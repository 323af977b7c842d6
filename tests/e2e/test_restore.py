"""docs/restore.md, word for word: a gateway is lost and comes back; nobody touches a terminal."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from benchmarks.ward.evidence import gather, wait_covered, wait_delivered, wait_held
from benchmarks.ward.outside import query, wait_until
from benchmarks.ward.people import STAFF, Member
from benchmarks.ward.processes import WardError
from benchmarks.ward.site import Ward
from contract.checkpoint import CheckpointMessage
from contract.ids import Version
from provisioning.errors import GatewayRefused
from tests.e2e.asking import LONG_DAY, NOT_HERE, at_work, online, turned_away

pytestmark = pytest.mark.timeout(180)

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "restore.md"
PIECE: Final = re.compile(r"^```sh\n(.*?)^```$|^\*\*Hands:\*\* (.*?)$", re.DOTALL | re.MULTILINE)
BEFORE, DATABASE, DESK, ROOT, START, DIRECTORY, LOOK = range(7)
MACHINE_TIME_S: Final = 30 * 60


@pytest.fixture
def ward(short_tmp: Path) -> Iterator[Ward]:
    with Ward(short_tmp / "ward", ("bay-1", "bay-2"), STAFF[:3], LONG_DAY) as ward:
        yield ward


def pieces() -> list[tuple[str, str]]:
    return [(found[1] or "", found[2] or "") for found in PIECE.finditer(PAGE.read_text())]


def run(ward: Ward, number: int) -> str:
    """A block of the page, in the ward's folder."""
    block, _ = pieces()[number]
    at = f"--folder site --as ines --gateway 127.0.0.1:{ward.admin_port}"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    own = {"PATH": path, "at": at, "fingerprint": ward.first_root}
    done = subprocess.run(
        ["bash", "-eu", "-o", "pipefail", "-c", block],
        cwd=ward.folder,
        env={**os.environ, **own},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def people(ward: Ward) -> list[Member]:
    """Two who stay, and one whose card is revoked."""
    return [ward.member(person.holder.id) for person in STAFF[:3]]


def receipts(ward: Ward, epoch: int) -> int:
    """How many batches on the terminals' disks have a receipt of that log epoch."""
    asked = f"SELECT count(*) FROM batch WHERE verdict IS NOT NULL AND epoch = {epoch:d}"
    return sum(
        int(query(bay.state / "journal.sqlite", asked)[0][0]) for bay in ward.terminals.values()
    )


def lose_the_gateway(ward: Ward) -> None:
    """After a back-up that does not have everything; the newest checkpoint is somebody's."""
    first, second = ward["bay-1"], ward["bay-2"]
    amal, bronwen, leaver = people(ward)
    wait_delivered(ward)
    ward.tapover("directory", "history")
    run(ward, BEFORE)
    at_work(ward, first, bronwen)
    revoked = ward.tapover("card", "revoke", leaver.entitlement.guid, "--yes")["version"]
    wait_held(ward, Version(revoked["epoch"], revoked["n"]))
    at_work(ward, first, amal)
    wait_delivered(ward)
    wait_covered(ward)
    newest = CheckpointMessage.from_bytes(json.dumps(ward.ask("/v1/log/checkpoint")).encode())
    (ward.folder / "last-known").write_text(newest.note)
    ward.gateway.kill()
    shutil.rmtree(ward.folder / "gateway-state")
    at_work(ward, second, bronwen)


def restore_it(ward: Ward) -> float:
    """By the page; returns the seconds until a terminal had a receipt of the new log."""
    began = time.monotonic()
    run(ward, DATABASE)
    run(ward, DESK)
    for name in ("site.json", "authority/root.key.pem", "authority/keys.dsse"):
        again = ward.folder / "site-again" / name
        assert again.read_bytes() == (ward.site.path / name).read_bytes()
        assert again.stat().st_mode == (ward.site.path / name).stat().st_mode
    assert "are missing" in run(ward, ROOT)
    assert pieces()[START][1] == "give site/gateway to the gateway, and start it."
    ward.start_gateway()
    wait_until("a receipt of the new log epoch", lambda: receipts(ward, 2) > 0, 90.0)
    return time.monotonic() - began


def recover_it(ward: Ward) -> None:
    """Until then nobody may change the directory; and no right comes back, before or after."""
    *_, leaver = people(ward)
    assert ward.ask("/healthz")["unsettled"]
    with pytest.raises(GatewayRefused, match="directory recover"):
        ward.set_policy()
    assert turned_away(ward, ward["bay-1"], leaver).words == NOT_HERE
    run(ward, DIRECTORY)
    wait_held(ward, Version(2, 1), 30.0)
    assert not ward.ask("/healthz")["unsettled"]
    wait_held(ward, ward.set_policy(**LONG_DAY), 30.0)
    for bay in ward.terminals.values():
        online(ward, bay)
        assert turned_away(ward, bay, leaver).words == NOT_HERE


def test_a_lost_gateway_comes_back_and_what_is_missing_is_stated(
    ward: Ward, tmp_path: Path
) -> None:
    bays, (amal, *_) = list(ward.terminals.values()), people(ward)
    pids = [bay.process.pid for bay in bays]
    for bay in bays:
        at_work(ward, bay, amal)
    lose_the_gateway(ward)
    took_s = restore_it(ward)
    print(f"from an empty machine to the first receipt: {took_s:.1f} s of machine time")
    assert took_s <= MACHINE_TIME_S
    recover_it(ward)
    for bay in bays:
        at_work(ward, bay, amal)
    wait_until("every receipt is of the new log epoch", lambda: receipts(ward, 1) == 0, 30.0)
    wait_delivered(ward)
    wait_covered(ward)
    said = run(ward, LOOK)
    for sentence in (
        "Log epoch 1 ended with",
        "are missing",
        "came again after it",
        "covers a declared loss",
        "under a lost directory version",
    ):
        assert sentence in said, said
    found = gather(ward, tmp_path / "export")
    assert (found.lost, found.duplicated, found.verified) == (0, 0, True), found.words
    assert [bay.process.pid for bay in bays] == pids


def held_n(ward: Ward) -> int:
    """The newest version that a terminal says it holds, within the first key epoch."""
    told = [one["status"] for one in ward.ask("/v1/fleet")["terminals"]]
    return max((one["directory"]["n"] for one in told if one), default=0)


@pytest.mark.full
def test_what_terminals_hold_and_no_copy_here_has_is_replaced_by_a_persons_word_alone(
    ward: Ward,
) -> None:
    bay, (amal, _, leaver) = ward["bay-1"], people(ward)
    at_work(ward, bay, amal)
    lose_the_gateway(ward)
    restored = [run(ward, block) for block in (DATABASE, DESK, ROOT)]
    assert "are missing" in restored[-1]
    ward.start_gateway()
    for left in ward.site.authority.glob("directory.sqlite*"):
        left.unlink()  # another desk's copy has the last change, and that desk is elsewhere
    kept = int(ward.ask("/healthz")["directory"]["n"])
    wait_until("a terminal says what it holds", lambda: held_n(ward) > kept, 60.0)

    with pytest.raises(WardError, match=r"changes are in no copy here \[409\]"):
        ward.tapover("directory", "recover", "--yes")
    assert ward.ask("/healthz")["unsettled"]
    told = ward.tapover("directory", "recover", "--dry-run")
    assert (told["changed"], told["terminals"]) == (False, f"1.{held_n(ward)}")

    ward.tapover("directory", "recover", "--accept-lost", "--yes")
    wait_held(ward, Version(2, 1), 30.0)
    assert not ward.ask("/healthz")["unsettled"]
    # What this authority withdrew itself stands in its ledger: no right comes back by a loss.
    assert turned_away(ward, bay, leaver).words == NOT_HERE
    with pytest.raises(WardError, match=r"settled.*\[103\]"):
        ward.tapover("directory", "recover", "--yes")
