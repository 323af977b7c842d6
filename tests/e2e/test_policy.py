"""A ward's policy from the desk to the glass: applied while people work, or refused whole."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from benchmarks.ward.evidence import wait_held
from benchmarks.ward.people import STAFF
from benchmarks.ward.processes import WardError
from benchmarks.ward.site import SITE, WARD, Ward
from benchmarks.ward.terminals import WardTerminal
from contract.checkpoint import origin
from contract.directory import Status
from contract.events import AlarmCode
from contract.ids import Version
from contract.policy import BreakGlass, NameForm, Night, Policy, Sound
from firmware_py.kiosk.info_words import UNREAD
from provisioning.directory.administration import PolicyUnservable
from provisioning.directory.entries import restate
from tests.e2e.asking import LONG_DAY, NOT_HERE, Log, Mark, at_work, shows, tap, turned_away
from tests.e2e.insider import Insider, SetBack, head_of


@pytest.fixture(scope="module")
def whole(module_tmp: Path) -> Iterator[Ward]:
    with Ward(module_tmp / "ward", ("bay-1",), STAFF[:3], LONG_DAY) as ward:
        yield ward


@pytest.fixture
def ward(whole: Ward) -> Iterator[Ward]:
    """Amal at work; afterwards the ward has its first policy again."""
    at_work(whole, whole["bay-1"], whole.member("h-amal"))
    yield whole
    wait_held(whole, whole.set_policy())


def test_settings_change_while_a_session_is_open_and_nothing_restarts(ward: Ward) -> None:
    bay = ward["bay-1"]
    pid = bay.process.pid

    wait_held(ward, ward.set_policy(name_form=NameForm.FULL, hold_s=600, sound=Sound.SOFT))
    shown = shows(bay, lambda view: view["name"] == "Amal Haddad")
    assert (shown.screen, shown.view["sound"]) == ("open", "soft")
    shows(bay, lambda view: (view["panels"].get("hold") or {}).get("allowed") is True)

    wait_held(ward, ward.set_policy())
    shows(bay, lambda view: view["name"] == "Amal H." and view["sound"] == "off")
    assert "hold" not in bay.glass.since(bay.glass.mark() - 1)[0].view["panels"]

    at_work(ward, bay, ward.member("h-chidi"))
    mark = bay.glass.mark()
    wait_held(ward, ward.set_policy(roles=("R8001",)))  # nurses alone; Chidi is a doctor
    assert bay.glass.latest is not None
    assert bay.glass.latest.view["name"] == "Chidi O."  # his open work stays as it is
    assert not [seen for seen in bay.glass.since(mark) if seen.screen == "locked"]
    at_work(ward, bay, ward.member("h-amal"))
    assert turned_away(ward, bay, ward.member("h-chidi")).words == NOT_HERE
    bay.glass.post("activity")

    wait_held(ward, ward.set_policy(night=Night(begins_min=0, ends_min=24 * 60 - 1)))
    shows(bay, lambda view: view["night"] is True)

    wait_held(ward, ward.set_policy(idle_dim_s=5, idle_lock_s=10))
    shows(bay, lambda view: view["screen"] in ("dimmed", "warning"))
    shows(bay, lambda view: view["screen"] == "locked")
    assert bay.process.pid == pid


def test_a_policy_that_the_ward_cannot_serve_is_refused_and_nothing_of_it_is_heard(
    ward: Ward, log: Log
) -> None:
    (told,) = ward.ask("/v1/fleet")["terminals"]
    assert told["status"]["interfaces"] == ["contact", "contactless"]
    before = head(ward)
    glass = BreakGlass(
        allowed=True,
        position=STAFF[0].holder.positions[0].id,
        reasons=("E1",),
        limit_s=600,
        without_card=("theatre-1",),  # type: ignore[arg-type]
    )
    with pytest.raises(PolicyUnservable, match="theatre-1"):
        ward.set_policy(break_glass=glass, idle_lock_s=60)
    with pytest.raises(WardError, match=r"nobody holds.*\[407\]"):
        ward.tapover("ward", "set", "ed", 'roles=["R9999"]', "--yes")
    assert head(ward) == before
    denied = [one for one in log.events() if one["detail"]["kind"] == "change.denied"]
    assert [one["detail"]["reason"] for one in denied] == ["unusable", "unusable"]


def head(ward: Ward) -> Version:
    found = ward.ask("/healthz")["directory"]
    return Version(found["epoch"], found["n"])


def test_the_information_page_says_the_rules_in_force_and_the_newest_checkpoint(
    ward: Ward,
) -> None:
    bay = ward["bay-1"]
    status, told = info(bay)
    assert status == http.HTTPStatus.OK
    assert (told["terminal"], told["ward"]) == ("bay-1", "ed")
    assert "After your PIN, a tap alone is enough at this screen for 4 h." in told["policy"]
    wait_held(ward, ward.set_policy(grace_s=1800))
    _, told = info(bay)
    assert "After your PIN, a tap alone is enough at this screen for 30 min." in told["policy"]
    assert len(told["recorded"]) > 3
    # The very note that an auditor can hold the log to: origin, size, root, and its signature.
    named, size, _, empty, signature = told["checkpoint"].removesuffix("\n").split("\n")
    assert named == origin(SITE, 1)
    assert int(size) > 0
    assert (empty, signature[:2]) == ("", "\u2014 ")
    names = [one.person.holder.name for one in ward.members.values()]
    assert not any(
        name.full in json.dumps(told) or name.short in json.dumps(told) for name in names
    )
    assert info(bay, secret="0" * 32)[0] == http.HTTPStatus.FORBIDDEN


def info(bay: WardTerminal, secret: str | None = None) -> tuple[int, dict[str, Any]]:
    """GET /info as the page asks for it; nothing where it is refused."""
    url = urlsplit(bay.url)
    query = url.query if secret is None else f"boot={secret}"
    connection = http.client.HTTPConnection(url.netloc, timeout=5.0)
    try:
        connection.request("GET", f"/info?{query}")
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    return answer.status, json.loads(body) if answer.status == http.HTTPStatus.OK else {}


def test_a_policy_that_no_gateway_should_send_stops_nobody_and_keeps_no_revocation_away(
    short_tmp: Path,
) -> None:
    """Beyond the contract's ceilings, under the site's own key: of a newer or a broken gateway."""
    with Ward(short_tmp / "ward", ("bay-1",), STAFF[:3], {**LONG_DAY, "grace_s": 3600}) as ward:
        bay, amal, chidi = ward["bay-1"], ward.member("h-amal"), ward.member("h-chidi")
        at_work(ward, bay, amal)
        (*_, newest) = Insider.terminal(ward, "bay-1").changes(Version(0, 0))
        version, digest = head_of(newest)
        at = Mark.now(ward, bay)
        ward.gateway.kill()
        beyond = Policy.model_construct(
            **{**dict(Policy(ward=WARD, salt="5a" * 16)), "idle_lock_s": 7 * 24 * 3600}
        )
        later = Version(version.epoch, version.n + 1)
        suspended = restate(chidi.entitlement, Status.SUSPENDED)
        SetBack(ward).change(later, digest, beyond, suspended)

        alarm = at.wait_for("alarm")
        assert alarm["code"] == AlarmCode.POLICY_UNSERVABLE
        told = info(bay)[1]["policy"]
        assert told[0] == UNREAD
        assert "After your PIN, a tap alone is enough at this screen for 4 h." in told  # defaults
        assert turned_away(ward, bay, chidi).words == NOT_HERE
        at_work(ward, bay, ward.member("h-bronwen"))
        tap(ward, bay, amal)
