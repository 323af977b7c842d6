"""A terminal's certificate is renewed under people's hands; one that lapsed is let in again."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from benchmarks.ward.outside import readers_watched, wait_until
from benchmarks.ward.people import STAFF
from benchmarks.ward.processes import NotReady
from benchmarks.ward.site import SITE, Ward
from benchmarks.ward.terminals import WardTerminal
from contract.certificates import Profile, Subject, Validity, build_leaf
from firmware_py.site.place import life_of
from firmware_py.site.renewing import LOOK_S
from provisioning.site import keys
from tests.e2e.asking import LONG_DAY, RECOVERY_S, at_work, tap
from tests.e2e.test_rotation import rotate

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def ward(module_tmp: Path) -> Iterator[Ward]:
    """Terminals that nobody has switched on yet; the gateway renews."""
    with Ward(
        module_tmp / "ward", (), STAFF[:2], LONG_DAY, blank=("bay-1", "bay-2", "bay-3", "bay-4")
    ) as ward:
        yield ward


def unpacked(ward: Ward, name: str) -> WardTerminal:
    """In service after its first boot."""
    bay = ward[name]
    ward.unpack(name)
    bay.start()
    in_service(ward, bay)
    return bay


def in_service(ward: Ward, bay: WardTerminal, mark: int = 0) -> None:
    """Online, and every reader is watched: a card that is held there now is a tap."""
    bay.glass.wait(
        lambda view: view["screen"] == "locked" and view["link"] == "online",
        mark,
        timeout_s=RECOVERY_S,
    )
    readers = len(bay.contactless) + len(bay.contact)
    wait_until("readers are watched", lambda: readers_watched(ward, bay.name) == readers)


def age(ward: Ward, bay: WardTerminal, days: float, most_share: float = 1) -> int:
    """Its certificate becomes one for the same key, made so many days ago; the serial number.

    `most_share` has it drawn among the first of a ward to be renewed.
    """
    folder = ward.site.gateway
    issuer = x509.load_pem_x509_certificate((folder / "terminal_ca.crt.pem").read_bytes())
    held = x509.load_pem_x509_certificate((bay.identity / "terminal.crt.pem").read_bytes())
    born = held.not_valid_before_utc - timedelta(days=days)
    public = held.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    key = keys.read_p256(folder / "terminal_ca.key.pem")
    while True:
        older = build_leaf(
            Profile.TERMINAL,
            Subject(bay.name, SITE),
            public,
            issuer=issuer,
            issuer_key=key,
            serial=x509.random_serial_number(),
            validity=Validity(born, born + timedelta(days=30)),
        )
        if life_of(older).share <= most_share:
            break
    pem = older.public_bytes(serialization.Encoding.PEM)
    (bay.identity / "terminal.crt.pem").write_bytes(pem)
    return older.serial_number


def serial(bay: WardTerminal) -> int:
    pem = (bay.identity / "terminal.crt.pem").read_bytes()
    return x509.load_pem_x509_certificate(pem).serial_number


def wait_renewed(bay: WardTerminal, old: int, timeout_s: float = RECOVERY_S) -> None:
    deadline = time.monotonic() + timeout_s
    while serial(bay) == old:
        if time.monotonic() > deadline:
            raise NotReady("the certificate is still the old one")
        time.sleep(0.05)


@contextmanager
def taps_going_on(ward: Ward, bay: WardTerminal) -> Iterator[list[str]]:
    """Two people in turn all the time; who was let in. Raises what went wrong."""
    over, let_in, wrong = threading.Event(), list[str](), list[BaseException]()
    people = [ward.member("h-amal"), ward.member("h-bronwen")]

    def work() -> None:
        try:
            for member in itertools.cycle(people):
                if over.is_set():
                    return
                let_in.append(tap(ward, bay, member).who)
        except BaseException as error:  # noqa: BLE001 - raised where it can be seen
            wrong.append(error)

    tapping = threading.Thread(target=work)
    tapping.start()
    try:
        yield let_in
    finally:
        over.set()
        tapping.join()
    if wrong:
        raise wrong[0]


def test_a_certificate_is_renewed_while_people_tap(ward: Ward) -> None:
    bay = unpacked(ward, "bay-1")
    for holder in ("h-amal", "h-bronwen"):
        at_work(ward, bay, ward.member(holder))
    bay.process.stop()
    old = age(ward, bay, days=22)
    mark = bay.glass.mark()
    bay.boot()
    in_service(ward, bay, mark)
    pid = bay.process.pid
    with taps_going_on(ward, bay) as let_in:
        wait_renewed(bay, old)
        renewed = len(let_in)
        bay.process.wait_for_line("another certificate is in use", RECOVERY_S)
        deadline = time.monotonic() + RECOVERY_S
        while len(let_in) < renewed + 3:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert bay.process.pid == pid
    held = ward.tapover("terminal", "show", "bay-1")["certificates"]
    assert f"{serial(bay):x}" in {one["serial"] for one in held}
    assert not list(bay.identity.glob("*next*"))


def test_a_certificate_that_lapsed_in_a_cupboard_is_let_in_by_eight_letters(ward: Ward) -> None:
    bay = unpacked(ward, "bay-2")
    bay.process.stop()
    old = age(ward, bay, days=40)
    bay.boot()
    shown = bay.glass.wait(
        lambda view: bool(
            view["screen"] in {"locked", "waiting"}
            and view["enrolling"]
            and view["enrolling"]["code"]
        ),
        timeout_s=60,
    ).view
    ward.tapover("terminal", "approve", shown["enrolling"]["code"], "--yes")
    mark = bay.glass.mark()
    bay.glass.wait(
        lambda view: view["link"] == "online" and view["enrolling"] is None, mark, timeout_s=60
    )
    assert serial(bay) != old
    bay.sign_on_with_pin(ward.member("h-amal"))


@pytest.mark.full
def test_a_retired_terminal_asks_and_gets_no_letters(ward: Ward) -> None:
    bay = unpacked(ward, "bay-3")
    mark = bay.glass.mark()
    ward.tapover("terminal", "retire", "bay-3", "--yes")
    bay.process.wait_for_line("renewing the certificate failed.*terminal-retired", 60)
    assert all(seen.view["enrolling"] is None for seen in bay.glass.since(mark))
    assert ward.tapover("terminal", "approve")["waiting"] == []


@pytest.mark.full
@pytest.mark.timeout(300)
def test_a_terminal_outlives_the_overlap_of_two_terminal_cas(ward: Ward) -> None:
    bay = unpacked(ward, "bay-4")
    bay.process.stop()
    old = age(ward, bay, days=1, most_share=1 / 3600)
    mark = bay.glass.mark()
    bay.boot()
    in_service(ward, bay, mark)
    rotate(ward, "terminal-ca")
    ward.take_new_keys()
    wait_renewed(bay, old, RECOVERY_S + 2 * LOOK_S)
    bay.process.wait_for_line("another certificate is in use", RECOVERY_S)
    rotate(ward, "terminal-ca", "--finish")
    mark = bay.glass.mark()
    ward.take_new_keys()
    in_service(ward, bay, mark)
    bay.sign_on_with_pin(ward.member("h-amal"))
