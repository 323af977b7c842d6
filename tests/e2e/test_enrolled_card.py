"""Cards that others issued, enrolled by command: with a key for taps, or with a PIN alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.ward.evidence import gather, taps, wait_covered, wait_delivered
from benchmarks.ward.pcscd import Pcscd
from benchmarks.ward.people import NURSE, Member, person
from benchmarks.ward.site import OPERATOR, Ward
from benchmarks.ward.terminals import is_open_for
from firmware_py.glass.words import SLOT
from firmware_py.pin.words import BY_PIN
from hardware.virtual.card import Card
from hardware.virtual.names import Algorithm, Slot
from hardware.virtual.sample import personalised
from provisioning.directory import ledger

GWEN = person("h-gwen", "Gwen Lloyd", "471902", NURSE)


@pytest.fixture
def ward(short_tmp: Path) -> Iterator[Ward]:
    with Ward(short_tmp / "ward", terminals=("bay-1",), staff=()) as ward:
        yield ward


def tapover(ward: Ward, desk: Pcscd, card: Path, *argv: str) -> dict[str, object]:
    """A card command that succeeds, with the card in the desk's reader."""
    reader = desk.readers[0]
    ward.box.insert(reader.port, card)
    ward.box.wait(card, 5.0, powered=True)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "provisioning", "card", *argv, "--json"),
            *("--folder", str(ward.site.path), "--as", OPERATOR),
            *("--gateway", f"127.0.0.1:{ward.admin_port}", "--reader", reader.name),
        ],
        env={**os.environ, **desk.environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    ward.box.remove(reader.port)
    assert done.returncode == 0, done.stderr
    told: dict[str, object] = json.loads(done.stdout)
    return told


def enrolled(ward: Ward, short_tmp: Path, card: Path) -> Member:
    """Gwen, whose card the desk has registered with its PIN."""
    papers = short_tmp / "papers"
    papers.mkdir()
    holder = {
        "holder": GWEN.holder.id,
        "name": GWEN.holder.name.model_dump(),
        "positions": [NURSE.model_dump(mode="json")],
    }
    (papers / "holder.json").write_text(json.dumps(holder))
    (papers / "pin").write_text(GWEN.pin + "\n")
    with Pcscd(ward.ports, ("Desk",)) as desk:
        enrol = ("enrol", "--holder", str(papers / "holder.json"))
        told = tapover(ward, desk, card, *enrol, "--pin-file", str(papers / "pin"))
    return Member(GWEN, card, ledger.recall_entitlement(ward.site, str(told["guid"])))


def test_a_foreign_rsa_card_is_enrolled_taps_and_is_proved(ward: Ward, short_tmp: Path) -> None:
    card = short_tmp / "gwen.json"
    made = personalised(
        pin=GWEN.pin.encode(), algorithm=Algorithm.RSA_2048, certificates=True, path=card
    )
    gwen = enrolled(ward, short_tmp, card)
    assert {one.algorithm for one in gwen.entitlement.credentials} == {"rsa2048-pkcs1-sha256"}
    assert Card.load(card).objects == made.objects

    bay = ward["bay-1"]
    bay.sign_on_with_pin(gwen)
    bay.glass.post("lock")
    bay.glass.wait_screen("locked")
    mark = bay.glass.mark()
    bay.tap(gwen)
    bay.glass.wait(lambda view: is_open_for(view, gwen), mark)

    wait_delivered(ward)
    wait_covered(ward)
    evidence = gather(ward, short_tmp / "export")
    assert evidence.verified, evidence.words
    opened = taps(short_tmp / "export")
    assert {tap["detail"]["algorithm"] for tap in opened} == {"rsa2048-pkcs1-sha256"}


def test_a_foreign_card_with_9a_alone_signs_on_by_its_pin_each_time_and_is_proved(
    ward: Ward, short_tmp: Path
) -> None:
    card = short_tmp / "gwen.json"
    personalised(pin=GWEN.pin.encode(), slots=[Slot.AUTHENTICATION], certificates=True, path=card)
    gwen = enrolled(ward, short_tmp, card)
    (only,) = gwen.entitlement.credentials
    assert (only.slot, only.pin_gated) == ("9A", True)

    bay = ward["bay-1"]
    for _ in range(2):
        mark = bay.glass.mark()
        bay.tap(gwen)
        asked = bay.glass.wait(lambda view: view["words"] == SLOT, mark)  # its tap is not enough
        assert asked.view["name"] is None
        bay.sign_on_with_pin(gwen)
        bay.glass.post("lock")
        bay.glass.wait_screen("locked")
    pads = [seen.view["pin"] for seen in bay.glass.since(0)]
    asked_why = {pad["why_asked"] for pad in pads if isinstance(pad, dict)}
    assert asked_why == {BY_PIN}

    wait_delivered(ward)
    wait_covered(ward)
    evidence = gather(ward, short_tmp / "export")
    assert evidence.verified, evidence.words
    assert "2 PIN proofs, each signed by the cardholder's own card" in evidence.words
