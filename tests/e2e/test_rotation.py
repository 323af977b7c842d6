"""The site's keys are replaced while people work.

No tap is refused, no daemon starts again, and the auditor still proves everything by the one root.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.ward.evidence import wait_held
from benchmarks.ward.people import STAFF, Member
from benchmarks.ward.processes import NotReady
from benchmarks.ward.site import Ward
from benchmarks.ward.terminals import WardTerminal
from contract.signing import Envelope
from contract.statements import KeyStatement
from firmware_py.trust.trust_store import TrustStore
from provisioning.site.rotate import Key, overlapping
from tests.e2e.asking import LONG_DAY, RECOVERY_S, Log, Mark, at_work, online, tap

pytestmark = pytest.mark.timeout(180)  # links that fell wait before they try again

DISTRUST = {"statement-refused", "receipt-refused", "checkpoint-inconsistent", "journal-forked"}


@pytest.fixture(scope="module")
def ward(module_tmp: Path) -> Iterator[Ward]:
    with Ward(module_tmp / "ward", ("bay-1", "bay-2"), STAFF[:2], LONG_DAY) as ward:
        yield ward


@pytest.fixture(scope="module")
def at_bays(ward: Ward) -> Ward:
    """Both have proved their PIN at both terminals: from now on a tap is enough."""
    for bay in ward.terminals.values():
        online(ward, bay)
        for holder in ("h-amal", "h-bronwen"):
            at_work(ward, bay, ward.member(holder))
    return ward


def rotate(ward: Ward, *arguments: str) -> int:
    """`tapover site rotate`; returns the key epoch from then on."""
    argv = [sys.executable, "-m", "provisioning", "site", "rotate", *arguments]
    options = ["--folder", str(ward.site.path), "--yes", "--json"]
    words = ward.folder / "words"
    words.write_text("of every root but the first\n")
    options += ["--passphrase-file", str(words), *(("--new-file", str(words)) * ("root" in argv))]
    done = subprocess.run([*argv, *options], capture_output=True, text=True, check=True)
    epoch: int = json.loads(done.stdout)["epoch"]
    return epoch


def epoch_held(ward: Ward, bay: WardTerminal) -> int:
    """Of the newest key statement that this terminal has made durable."""
    kept = TrustStore.open(bay.state / "trust.json").remembered.keys
    assert kept is not None
    envelope = Envelope.from_bytes(kept)
    return KeyStatement.open_pinned(envelope, envelope.key_id).epoch


def wait_followed(ward: Ward, epoch: int) -> None:
    deadline = time.monotonic() + RECOVERY_S
    while any(epoch_held(ward, bay) < epoch for bay in ward.terminals.values()):
        if time.monotonic() > deadline:
            raise NotReady(f"not every terminal holds key epoch {epoch}")
        time.sleep(0.05)


@contextmanager
def taps_going_on(ward: Ward, bay: WardTerminal) -> Iterator[list[str]]:
    """Two people tap in turn at one terminal all the time; who was let in.

    Raises what went wrong.
    """
    over, let_in, wrong = threading.Event(), list[str](), list[BaseException]()
    people: list[Member] = [ward.member("h-amal"), ward.member("h-bronwen")]

    def work() -> None:
        try:
            for member in itertools.cycle(people):
                if over.is_set():
                    return
                let_in.append(tap(ward, bay, member).who)
        except BaseException as error:  # noqa: BLE001 - raised where it can be seen
            wrong.append(error)

    at_work(ward, bay, people[1])
    tapping = threading.Thread(target=work)
    tapping.start()
    try:
        yield let_in
    finally:
        over.set()
        tapping.join()
    if wrong:
        raise wrong[0]


def rarer(key: str) -> object:
    return pytest.param(key, marks=pytest.mark.full)


@pytest.mark.parametrize(
    "key", ["statement", rarer("log"), rarer("operator-ca"), rarer("terminal-ca"), rarer("root")]
)
def test_a_key_is_replaced_while_taps_go_on(at_bays: Ward, log: Log, key: str) -> None:
    ward, bays = at_bays, at_bays.terminals.values()
    marks = [Mark.now(ward, bay) for bay in bays]
    pids = [bay.process.pid for bay in bays]
    with taps_going_on(ward, ward["bay-1"]) as let_in:
        began = time.monotonic()
        epoch = rotate(ward, key)
        ward.take_new_keys()
        wait_followed(ward, epoch)
        took = time.monotonic() - began
        for bay in bays:
            online(ward, bay)
        # A directory under the new key epoch reaches everybody.
        wait_held(ward, ward.set_policy(**LONG_DAY))
        so_far = len(let_in)
        while len(let_in) < so_far + 2:  # and once more for each of the two
            time.sleep(0.05)
    print(f"{key}: every terminal followed {took:.1f} s after the command; {len(let_in)} taps")
    assert [bay.process.pid for bay in bays] == pids
    log.verified()
    for mark in marks:
        assert [one["code"] for one in mark.since("alarm") if one["code"] in DISTRUST] == []
        assert [reason for result, reason in mark.outcomes() if result == "refused"] == []


@pytest.mark.full
def test_a_terminal_that_slept_through_every_rotation_learns_all_of_it(at_bays: Ward) -> None:
    ward, bay = at_bays, at_bays["bay-2"]
    bay.kill()
    epoch = max(rotate(ward, key) for key in ("statement", "root", "log", "card-ca", "root"))
    ward.take_new_keys()
    bay.boot()
    wait_followed(ward, epoch)
    online(ward, bay)
    at_work(ward, bay, ward.member("h-amal"))


@pytest.mark.full
def test_once_an_overlap_has_ended_the_ca_before_lets_nobody_in(at_bays: Ward) -> None:
    """The two terminals hear nothing of the new terminal CA until the one before is out."""
    ward, bay = at_bays, at_bays["bay-2"]
    if Key.TERMINAL_CA in overlapping(ward.site):
        rotate(ward, "terminal-ca", "--finish")
    rotate(ward, "terminal-ca")
    rotate(ward, "terminal-ca", "--finish")
    ward.take_new_keys()
    waiting = bay.glass.wait(lambda view: view["link"] == "offline", timeout_s=RECOVERY_S)
    assert "broker" in waiting.view["waits_for"]
    at_work(ward, bay, ward.member("h-amal"))
    tap(ward, bay, ward.member("h-bronwen"))  # offline, the same gesture
