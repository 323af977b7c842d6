"""The sign-on benchmark: what it measures is a sign-on, and what it judges is what it measured."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.harness.record import Cell, Figure
from benchmarks.harness.workload import Phase
from benchmarks.peers.held import HeldLeftIn, HeldTapped
from benchmarks.peers.pam import SERVICE, USER
from benchmarks.peers.pam_p11 import PamP11
from benchmarks.peers.pam_pkcs11 import PamPkcs11
from benchmarks.peers.spawn import Cover, Spawner
from benchmarks.peers.yubico import YubicoPivTool
from benchmarks.sign_on import WORKLOAD, bigdirectory
from benchmarks.sign_on.specs import P256, RSA, Sizes, Spec, State, in_lanes
from benchmarks.sign_on.steps import PEERS, Work
from benchmarks.ward.flushes import Flushes
from benchmarks.ward.processes import WardError
from contract.ids import Guid
from firmware_py.trust.statements import Held
from firmware_py.trust.store import Directory
from tests import parts

FLUSH = "import os, sys; f = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT); os.fdatasync(f)"


class Silent:
    """A Progress that keeps the phases."""

    def __init__(self) -> None:
        self.phases: list[Phase] = []

    def phase(self, phase: Phase) -> None:
        self.phases.append(phase)

    def done(self, count: int, of: int) -> None:
        assert count <= of

    def say(self, words: str) -> None:
        assert words


def ours(spec: Spec, *, total: float, card: float = 140.0, software: float = 5.0) -> Cell:
    names = {
        "total": total,
        "card": card,
        "software": software,
        "total ÷ card": total / card,
        "tap to usable": total + 200.0,
    }
    figures = tuple(Figure(name, "ms", "a", "b", (value,) * 3) for name, value in names.items())
    counts = {"exchanges a tap": 3.0}
    return Cell("sign_on", spec.name, spec.parameters, figures, counts)


def theirs(name: str, total: float) -> Cell:
    figures = (Figure("total", "ms", "a", "b", (total,) * 3),)
    return Cell("sign_on", name, {"key": "P-256"}, figures, {"exchanges": 22.0}, peer=name)


def held(cells: list[Cell], *, quick: bool) -> dict[str, bool]:
    return {one.name: one.held for one in WORKLOAD.judge(cells, quick=quick)}


def test_a_run_that_keeps_every_promise_is_said_to() -> None:
    cells = [
        *(ours(spec, total=150.0) for spec in (Spec(), Spec(State.OFFLINE), Spec(State.MILLION))),
        *(theirs(name, 1600.0) for name in (PamP11.name, PamPkcs11.name, HeldTapped.name)),
    ]
    assert all(held(cells, quick=False).values())


def test_each_promise_can_be_missed() -> None:
    cells = [
        ours(Spec(), total=190.0, software=60.0),
        ours(Spec(State.OFFLINE), total=220.0, software=26.0),
        ours(Spec(State.MILLION), total=220.0, software=26.0),
        *(theirs(name, 180.0) for name in (PamP11.name, PamPkcs11.name, HeldTapped.name)),
    ]
    missed = {name for name, kept in held(cells, quick=False).items() if not kept}
    assert missed == held(cells, quick=False).keys() - {"warm tap to usable, p95"}


def test_what_was_not_measured_is_not_held() -> None:
    assert not any(held([], quick=False).values())
    assert WORKLOAD.headlines([]) == []
    assert WORKLOAD.charts([]) == []


def test_a_quick_run_is_judged_by_what_it_can_tell() -> None:
    judged = held([ours(Spec(), total=150.0), theirs(PamP11.name, 1600.0)], quick=True)
    assert judged["warm tap: quicker than pam_p11"]
    assert not judged["warm tap: quicker than pam_pkcs11"]
    assert not any("offline" in name for name in judged)


def test_a_session_that_never_leaves_its_card_is_no_tap() -> None:
    cells = [ours(Spec(), total=150.0), theirs(HeldLeftIn.name, 110.0), theirs("other", 300.0)]
    said = {one.name: one.said for one in WORKLOAD.headlines(cells)}
    assert "2.00 × quicker than the quickest of 1 peers (other" in said["the best of the others"]


def test_a_whole_plan_fits_into_its_time() -> None:
    assert sum(step.expected_s for step in WORKLOAD.plan(quick=False)) <= 25 * 60
    assert sum(step.expected_s for step in WORKLOAD.plan(quick=True)) <= 90
    names = [spec.name for step in WORKLOAD.plan(quick=False) for spec in _specs(step.work)]
    assert len(set(names)) == len(names)


def _specs(work: object) -> list[Spec]:
    assert isinstance(work, Work)
    return work.specs


def test_lanes_share_the_work() -> None:
    specs = [Spec(profile=profile) for profile in ("instant", "fast", "typical", "slow")]
    lanes = in_lanes(specs, 2)
    assert sorted(spec.name for lane in lanes for spec in lane) == sorted(s.name for s in specs)
    assert [len(lane) for lane in lanes] == [2, 2]


def test_a_flush_is_seen_and_can_be_slowed(tmp_path: Path) -> None:
    parts.program("gcc")
    with Flushes(tmp_path) as flushes:
        for delay_ms in (0, 30):
            flushes.slow_by(delay_ms)
            mark = flushes.count
            argv = [sys.executable, "-I", "-S", "-c", FLUSH, str(tmp_path / "file")]
            subprocess.run(argv, env={**os.environ, **flushes.environment}, check=True)
            (flush,) = flushes.since(mark)
            took_ms = (flush.ended_ns - flush.began_ns) / 1e6
            assert took_ms >= delay_ms
            assert delay_ms or took_ms < 30


def test_a_generated_directory_is_one_of_the_products_own(tmp_path: Path) -> None:
    path = bigdirectory.cached(tmp_path, 2_000)
    with closing(Directory.open(path, Held())) as directory:
        guid = Guid(f"{(1 << 128) // 2_001 * 777:032x}")
        found = directory.entitlement(guid)
        assert found is not None
        assert found.guid == guid
        assert all(credential.verify_key() for credential in found.credentials)
        assert directory.entitlement(Guid("1" * 32)) is None
    before = path.stat().st_mtime_ns
    assert bigdirectory.cached(tmp_path, 2_000).stat().st_mtime_ns == before


def test_a_pam_service_exists_for_its_own_processes_alone(tmp_path: Path) -> None:
    pam_d, passwd = tmp_path / "pam.d", tmp_path / "passwd"
    pam_d.mkdir()
    (pam_d / SERVICE).write_text("auth required pam_permit.so\n")
    passwd.write_text(f"{USER}:x:0:0::/:/bin/false\n")
    with Spawner({}, Cover(pam_d, passwd)) as spawner:
        took_ms, said = spawner.run([parts.program("pamtester"), SERVICE, USER, "authenticate"])
        assert "successfully authenticated" in said
        assert took_ms > 0
        (pam_d / SERVICE).write_text("auth required pam_deny.so\n")
        with pytest.raises(WardError, match="Authentication failure"):
            spawner.run([parts.program("pamtester"), SERVICE, USER, "authenticate"])
    assert not (Path("/etc/pam.d") / SERVICE).exists()
    assert USER not in Path("/etc/passwd").read_text()


def test_a_few_taps_and_a_peer_with_the_same_card() -> None:
    progress = Silent()
    cells = list(Work([[Spec()]], Sizes(4, 2), ((YubicoPivTool, 2),), P256)(progress))
    warm, peer = cells
    assert warm.counts["exchanges a tap"] == 3
    assert len(warm.figure("total").samples) == 4
    for part in ("software", "driver", "card", "flush", "screen", "detection"):
        assert all(value > 0 for value in warm.figure(part).samples)
    for at, total in enumerate(warm.figure("total").samples):
        parts_ms = [warm.figure(p).samples[at] for p in ("software", "driver", "card", "flush")]
        assert sum(parts_ms) == pytest.approx(total)
        assert warm.figure("tap to usable").samples[at] > total
    assert peer.peer == YubicoPivTool.name
    assert peer.counts["exchanges"] == 6
    assert "PIN" in peer.facts["command"]
    assert progress.phases.index(Phase.WARM_UP) < progress.phases.index(Phase.MEASURED)


@pytest.mark.full
@pytest.mark.timeout(300)
def test_every_state_and_every_peer() -> None:
    lanes = [[Spec(), Spec(profile="fast", first=True)], [Spec(key=RSA)]]
    peers = tuple((peer, 1) for peer, _ in PEERS)
    cells = {cell.name: cell for cell in Work(lanes, Sizes(2, 2), peers)(Silent())}
    assert {cell.peer for cell in cells.values() if cell.peer} == {peer.name for peer, _ in PEERS}
    assert cells[Spec(key=RSA).name].counts["exchanges a tap"] == 5
    (off,) = Work([[Spec(State.OFFLINE)]], Sizes(2, 2))(Silent())
    assert off.counts["exchanges a tap"] == 3
