"""A terminal is unpacked: from its first boot to the first tap, whatever comes in between."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from benchmarks.ward.outside import query, wait_until
from benchmarks.ward.people import STAFF
from benchmarks.ward.site import OPERATOR, SITE, Ward
from benchmarks.ward.terminals import WardTerminal
from contract.enrolment import EnrolmentFile, Grant, Granted, spell_token, token_digest
from contract.ids import KeyId
from contract.statements import KeyStatement
from contract.wire import decode_base64
from firmware_py.enrolment.desk import Desk, Peer, believing, believing_nobody
from firmware_py.enrolment.orders import Applicant, make_order
from provisioning.directory.administration import Administration, Gateway, Operator
from runtime.clock import SystemClock
from tests.e2e.asking import RECOVERY_S

pytestmark = pytest.mark.timeout(120)

BAYS = ("bay-1", "bay-2", "bay-3", "bay-4")
View = dict[str, Any]


@pytest.fixture(scope="module")
def ward(module_tmp: Path) -> Iterator[Ward]:
    """Nothing but boxes: no terminal is known to the site."""
    with Ward(module_tmp / "ward", (), STAFF[:2], blank=BAYS) as ward:
        yield ward


def in_service(bay: WardTerminal, mark: int = 0) -> None:
    """Somebody could sign on there."""
    bay.glass.wait(
        lambda view: view["screen"] == "locked" and view["link"] == "online",
        mark,
        timeout_s=RECOVERY_S,
    )


def waits_at(step: str) -> Callable[[View], bool]:
    def holds(view: View) -> bool:
        return bool(view["screen"] == "enrolling" and view["waits_for"] == [step])

    return holds


def test_a_terminal_enrols_at_its_first_boot_and_serves_the_first_tap(ward: Ward) -> None:
    bay, amal = ward["bay-1"], ward.member("h-amal")
    ward.unpack("bay-1")
    paper = bay.partition / "tapover" / "enrolment.json"
    token = json.loads(paper.read_bytes())["token"]
    bay.start()
    in_service(bay)
    assert not paper.exists()
    assert token.encode() not in b"".join(f.read_bytes() for f in bay.identity.iterdir())
    assert all(f.stat().st_mode & 0o077 == 0 for f in bay.identity.iterdir())
    bay.sign_on_with_pin(amal)


def spent_by_a_thief(_ward: Ward, paper: EnrolmentFile) -> str:
    """Somebody copied the boot partition, and was quicker. The token that remains in the file."""
    thief = Applicant(
        paper.site,
        paper.terminal,
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP256R1()),
    )
    statement = Desk(Peer(paper.enrol_url, believing_nobody)).keys()
    keys = KeyStatement.open_pinned(statement, KeyId(paper.root_fingerprint))
    ca = decode_base64(keys.operator_ca)
    desk = Desk(Peer(paper.enrol_url, lambda: believing(ca, clock_tells=True)))
    desk.order("/v1/enrolment", make_order(thief, 0), (paper.terminal, paper.token))
    return paper.token


def expired(ward: Ward, paper: EnrolmentFile) -> str:
    """A token whose 72 hours were some milliseconds."""
    token = spell_token(secrets.token_bytes(32))
    now_ms = SystemClock().wall_ms()
    granted = Granted(terminal=paper.terminal, ward=paper.ward, token=token_digest(token))
    authority = ward.site.gateway / "operator_ca.crt.pem"
    operator = Operator(OPERATOR, ward.site.operator(OPERATOR), authority)
    grant = Grant(
        site=SITE,
        operator=OPERATOR,
        nonce=secrets.token_hex(32),
        issued_ms=now_ms,
        until_ms=now_ms + 1500,
        terminals=(granted,),
    ).seal(operator.signer())
    with Administration(Gateway(SITE, "127.0.0.1", ward.admin_port), operator) as administration:
        administration.post("/v1/grants", grant.to_bytes())
    wait_until("the token is stale", lambda: SystemClock().wall_ms() > now_ms + 1500)
    return token


@pytest.mark.parametrize(
    ("bay_name", "spoil", "why", "alarmed"),
    [
        ("bay-2", spent_by_a_thief, "used already", True),
        pytest.param("bay-3", expired, "too old", False, marks=pytest.mark.full),
    ],
)
def test_a_stale_token_ends_in_eight_letters_that_an_operator_approves(
    ward: Ward,
    bay_name: str,
    spoil: Callable[[Ward, EnrolmentFile], str],
    why: str,
    *,
    alarmed: bool,
) -> None:
    bay, before = ward[bay_name], reuses(ward)
    ward.unpack(bay_name)
    file = bay.partition / "tapover" / "enrolment.json"
    paper = EnrolmentFile.from_bytes(file.read_bytes())
    token = spoil(ward, paper)
    file.write_bytes(paper.model_copy(update={"token": token}).to_bytes())
    bay.start()
    shown = bay.glass.wait(lambda view: bool(view["enrolling"] and view["enrolling"]["code"])).view
    assert waits_at("token")(shown)
    assert shown["enrolling"]["terminal"] == bay_name
    assert shown["enrolling"]["addresses"]
    assert why in shown["words"]
    assert "tapover terminal approve" in shown["words"]
    assert not file.exists()  # a token that is good for nothing does not go on lying there
    mark = bay.glass.mark()
    ward.tapover("terminal", "approve", shown["enrolling"]["code"], "--yes")
    in_service(bay, mark)
    assert (reuses(ward) > before) == alarmed


def reuses(ward: Ward) -> int:
    """Alarms in the gateway's own journal that a token was used a second time."""
    rows = query(ward.folder / "gateway-state" / "gateway.sqlite", "SELECT body FROM events")
    return sum(b'"code":"token-reused"' in bytes(body) for (body,) in rows)


STEPS = ("place.json", "keys.dsse", "terminal.key.pem", "batch.key.pem", "terminal.crt.pem")


def test_a_terminal_killed_at_each_step_of_its_first_boot_goes_on(ward: Ward) -> None:
    bay, before = ward["bay-4"], reuses(ward)
    ward.unpack("bay-4")
    bay.pcscd.start()
    bay.glass.__enter__()
    for name in STEPS:
        bay.process.start()
        wait_until(f"{name} is there", (bay.identity / name).exists, timeout_s=20)
        bay.kill()
    key = (bay.identity / "batch.key.pem").read_bytes()
    mark = bay.glass.mark()
    bay.boot()
    in_service(bay, mark)
    assert (bay.identity / "batch.key.pem").read_bytes() == key
    assert not (bay.partition / "tapover" / "enrolment.json").exists()
    assert len(ward.tapover("terminal", "show", "bay-4")["certificates"]) == 1
    assert reuses(ward) == before
