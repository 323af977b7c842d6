"""An application asks, a second person taps for real, and anybody checks what her card signed."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

from benchmarks.ward.people import STAFF, Member, person
from benchmarks.ward.site import Ward
from benchmarks.ward.terminals import WardTerminal, is_open_for
from contract.countersigning import text_digest
from contract.events import Reason
from contract.tap import DOMAIN
from firmware_py.countersign.errand import ASK_S
from firmware_py.countersign.words import ANOTHER_PERSON
from tests.e2e.asking import LONG_DAY, Log, Mark, at_work, tap

TEXT = "Morphine 10 mg i.v.\nbed 4, 21:40"
DOCUMENT = "d0" * 32
TWO_CARDS = person("h-two", "Tess Twocards", "640917", *STAFF[0].holder.positions)


@pytest.fixture(scope="module")
def ward(module_tmp: Path) -> Iterator[Ward]:
    """One terminal, and a person with two cards."""
    with Ward(module_tmp / "ward", ("bay-1",), (*STAFF[:2], TWO_CARDS), LONG_DAY) as ward:
        yield ward


@pytest.fixture
def bay(ward: Ward) -> WardTerminal:
    """The terminal, with Amal's work on its glass."""
    at_work(ward, ward["bay-1"], ward.member("h-amal"))
    return ward["bay-1"]


class Application:
    """A program on that terminal, at its Unix socket."""

    def __init__(self, bay: WardTerminal, hands: ThreadPoolExecutor) -> None:
        transport = httpx.HTTPTransport(uds=str(bay.state / "run" / "local.sock"))
        self.client = httpx.Client(transport=transport, base_url="http://localhost", timeout=90)
        self._bay = bay
        self._hands = hands

    def who(self) -> dict[str, Any] | None:
        signed_on: dict[str, Any] | None = self.client.get("/v1/session").json()["signed_on"]
        return signed_on

    def countersign(self, **how: Any) -> Future[httpx.Response]:  # noqa: ANN401
        """Asked, on the glass, and long enough there to be read."""
        now = self.who()
        assert now is not None
        body = {"session": now["session"], "title": "Controlled drug", "text": TEXT}
        asked = {**body, "document": DOCUMENT, **how}
        mark = self._bay.glass.mark()
        answer = self._hands.submit(self.client.post, "/v1/countersign", json=asked)
        self._bay.glass.wait(panel(lambda p: p["left_s"] <= ASK_S - 2), mark)
        return answer


@pytest.fixture
def app(bay: WardTerminal) -> Iterator[Application]:
    with ThreadPoolExecutor(1) as hands:
        application = Application(bay, hands)
        yield application
        application.client.close()


def panel(wanted: Callable[[dict[str, Any]], bool]) -> Callable[[dict[str, Any]], bool]:
    """A view whose countersign panel is ``wanted``."""
    return lambda view: "countersign" in view["panels"] and wanted(view["panels"]["countersign"])


def test_another_persons_card_signs_and_anybody_can_check_it(
    ward: Ward, bay: WardTerminal, app: Application, log: Log, tmp_path: Path
) -> None:
    amal, bronwen = ward.member("h-amal"), ward.member("h-bronwen")
    before, mark = app.who(), Mark.now(ward, bay)
    answer = app.countersign()
    shown = bay.glass.latest
    assert shown is not None
    assert shown.view["panels"]["countersign"]["text"] == TEXT
    assert shown.view["covered"]

    tap(ward, bay, bronwen, panel(lambda p: p["step"] == "done"))
    told = answer.result().json()
    assert told["result"] == "signed"
    signed = told["signed"]
    assert (signed["holder"], signed["slot"]) == ("h-bronwen", "9E")
    assert openssl_verifies(tmp_path, signed)

    record = json.loads(base64.b64decode(signed["record"]))
    assert record["detail"]["record"]["text"] == text_digest(f"Controlled drug\n{TEXT}")
    assert record["detail"]["record"]["document"] == DOCUMENT
    assert app.who() == before  # the present session stays
    assert is_open_for(bay.glass.wait(lambda v: not v["covered"]).view, amal)
    assert mark.since("session.changed") == []

    in_the_log = {(e["journal"], e["sequence"]): e["detail"] for e in log.events()}
    assert in_the_log[signed["journal"], signed["sequence"]] == record["detail"]
    (ended,) = (
        d
        for d in in_the_log.values()
        if d.get("record") == signed["sequence"] and d["kind"] == "countersign.ended"
    )
    assert (ended["result"], ended["document"]) == ("signed", DOCUMENT)
    log.verified()


def test_neither_the_holder_nor_her_other_card_countersigns_for_her(
    ward: Ward, bay: WardTerminal, app: Application
) -> None:
    amal, mark = ward.member("h-amal"), Mark.now(ward, bay)
    answer = app.countersign()
    said = tap(ward, bay, amal, panel(lambda p: p["step"] == "refused"))
    assert said.view["panels"]["countersign"]["words"] == ANOTHER_PERSON
    assert mark.outcomes()[-1] == ("refused", Reason.SAME_PERSON)
    assert not answer.done()
    bay.glass.post("cancel")
    assert answer.result().json() == {"result": "cancelled", "signed": None}
    assert mark.since("session.changed") == []


def test_where_it_is_asked_for_the_pin_stands_behind_it(
    ward: Ward, bay: WardTerminal, app: Application, tmp_path: Path
) -> None:
    bronwen = ward.member("h-bronwen")
    answer = app.countersign(pin=True)
    tap(ward, bay, bronwen, panel(lambda p: p["step"] == "pin"))
    with in_the_slot(ward, bay, bronwen) as mark:
        bay.glass.wait(panel(lambda p: p["step"] == "pin"), mark)
        bay.glass.post("pin", pin=bronwen.pin)
        bay.glass.wait(panel(lambda p: p["step"] == "done"), mark)
    signed = answer.result().json()["signed"]
    assert (signed["holder"], signed["slot"]) == ("h-bronwen", "9A")
    assert openssl_verifies(tmp_path, signed)


def test_the_stream_follows_real_taps_and_the_old_session_reaches_nobody(
    ward: Ward, bay: WardTerminal, app: Application
) -> None:
    amal, bronwen = ward.member("h-amal"), ward.member("h-bronwen")
    before = app.who()
    assert before is not None
    at_work(ward, bay, bronwen)
    late = app.client.post("/v1/lock", json={"session": before["session"]})
    assert (late.status_code, late.json()["error"]) == (409, "session-ended")
    now = app.who()
    assert now is not None
    assert now["name"] == bronwen.shown
    at_work(ward, bay, amal)
    back = app.who()
    assert back is not None
    assert back["session"] == before["session"]


@contextmanager
def in_the_slot(ward: Ward, bay: WardTerminal, member: Member) -> Iterator[int]:
    """The card in a contact slot, once it has been read; a mark from before."""
    port, mark = bay.next_contact().port, bay.glass.mark()
    ward.box.insert(port, member.card, profile="fast")
    try:
        bay.glass.wait_screen("checking", mark=mark)
        yield bay.glass.mark()
    finally:
        ward.box.remove(port)


def openssl_verifies(folder: Path, signed: dict[str, str]) -> bool:
    """With the answer alone, and nothing of ours."""
    key = load_der_public_key(base64.b64decode(signed["key"]))
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / "key.pem").write_bytes(pem)
    (folder / "signature").write_bytes(base64.b64decode(signed["signature"]))
    (folder / "message").write_bytes(DOMAIN + base64.b64decode(signed["record"]))
    command = "openssl dgst -sha256 -verify key.pem -signature signature message"
    return subprocess.run(command.split(), cwd=folder, check=False).returncode == 0
