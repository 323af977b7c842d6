"""`tapover ward policy`: in words, from a file with its difference first, and every bound said."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from contract.ids import WardId
from contract.policy import Policy
from provisioning.directory import policies
from provisioning.directory.policies import MEANING, PolicyWrong
from tests.provisioning.office import Office, answer, made_office, member


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with made_office(tmp_path_factory.mktemp("office")) as office:
        office.send([member(n) for n in range(5)])
        yield office


def write(office: Office, name: str, text: str) -> str:
    path = office.folder / name
    path.write_text(text)
    return str(path)


def command(*argv: str) -> subprocess.CompletedProcess[str]:
    """One that needs neither site nor gateway."""
    words = [sys.executable, "-m", "provisioning", *argv, "--json"]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


def settings(office: Office, ward: str) -> dict[str, Any]:
    found: dict[str, Any] = answer(office.tapover("ward", "policy", "show", ward))["policy"]
    return found


def refused(done: subprocess.CompletedProcess[str], code: int) -> str:
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert f"[{code}]" in done.stderr, done.stderr
    return done.stderr


def test_a_ward_takes_its_policy_from_toml_or_json_the_difference_first(office: Office) -> None:
    file = write(
        office,
        "a.toml",
        """
        idle_lock_s = 120
        night = {begins_min = 1320, ends_min = 390}
        [break_glass]
        allowed = true
        position = "a-emergency"
        reasons = ["E1", "E2"]
        limit_s = 900
        """,
    )
    asked = office.tapover("ward", "policy", "set", "a", file, "--dry-run")
    assert answer(asked)["changed"] is False
    assert "idle_lock_s 120" in asked.stderr
    assert "a-emergency" in asked.stderr
    before = office.version
    unasked = office.tapover("ward", "policy", "set", "a", file)
    assert (unasked.returncode, office.version) == (3, before)

    assert answer(office.tapover("ward", "policy", "set", "a", file, "--yes"))["changed"]
    made = settings(office, "a")
    assert (made["idle_lock_s"], made["break_glass"]["limit_s"]) == (120, 900)
    assert made["night"] == {"begins_min": 1320, "ends_min": 390}

    more = write(office, "a.json", json.dumps({"hold_s": 600}))
    changed = office.tapover("ward", "policy", "set", "a", more, "--yes")
    assert "hold_s: 0 -> 600" in changed.stderr
    assert settings(office, "a")["idle_lock_s"] == 120  # what the file leaves out stays
    answer(office.tapover("ward", "policy", "set", "a", more, "--whole", "--yes"))
    assert settings(office, "a")["break_glass"] is None
    again = answer(office.tapover("ward", "policy", "set", "a", more, "--whole", "--yes"))
    assert again["changed"] is False


def test_it_is_said_in_words(office: Office) -> None:
    told = answer(office.tapover("ward", "policy", "show", "b"))
    assert [line for line in told["words"] if line.startswith("grace_s = 14400: after a proven")]
    assert len([line for line in told["words"] if not line.startswith(" ")]) == len(
        policies.names()
    )
    shown = answer(office.tapover("ward", "show", "b"))
    assert shown["policy"] == told["policy"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"grace_s": 43201}', "grace_s may be: 0 to 43200 (12 h)"),
        ('{"left_card": {"cap_s": 4}}', "left_card.cap_s may be: 5 to 3600 (1 h)"),
        ('{"grace_by_role": [{"role": "R1", "grace_s": -1}]}', "grace_by_role.grace_s may be"),
        ('{"idle_lock": 60}', "idle_lock: there is no such setting"),
        ('{"ward": "theatre", "hold_s": 60}', "theatre"),
        ('{"hold_s": 60, "hold_s": 0}', "twice"),
        ('{"grace_scope": "ward"}', "grace_approved_by"),
        ("[60]", "no object"),
        ("{", "not JSON"),
    ],
)
def test_what_is_no_policy_is_refused_with_its_bounds(office: Office, text: str, says: str) -> None:
    file = write(office, "wrong.json", text)
    before = office.version
    assert says in refused(office.tapover("ward", "policy", "set", "c", file, "--yes"), 406)
    assert office.version == before


def test_what_the_ward_cannot_serve_is_refused_here_or_by_the_gateway(office: Office) -> None:
    glass = {
        "allowed": True,
        "position": "d-emergency",
        "reasons": ["E1"],
        "limit_s": 600,
        "without_card": ["bay-1"],
    }
    file = write(office, "d.json", json.dumps({"break_glass": glass}))
    before = office.version
    assert "bay-1" in refused(office.tapover("ward", "policy", "set", "d", file, "--dry-run"), 407)
    # Whether somebody holds a role is known at the gateway alone.
    nobody = ("ward", "set", "d", 'roles=["R9999"]', "--yes")
    assert "nobody holds" in refused(office.tapover(*nobody), 407)
    assert office.version == before
    # The same command, mended, does not go on with what was refused.
    answer(office.tapover("ward", "set", "d", 'roles=["R8001"]', "--yes"))
    assert settings(office, "d")["roles"] == ["R8001"]


def test_each_setting_is_explained() -> None:
    told = answer(command("ward", "policy", "explain"))["settings"]
    by_name = {one["name"]: one for one in told}
    assert by_name["idle_lock_s"]["bounds"] == "10 to 1800 (30 min)"
    assert by_name["sound"] == {
        "name": "sound",
        "bounds": "off, soft",
        "default": "off",
        "meaning": MEANING["sound"],
    }
    one = answer(command("ward", "policy", "explain", "night"))["settings"]
    assert [each["name"] for each in one] == ["night", "night.begins_min", "night.ends_min"]
    refused(command("ward", "policy", "explain", "nonsense"), 406)


def test_every_field_of_the_contract_has_its_meaning_and_no_other() -> None:
    assert {one.name for one in policies.explain()} == set(MEANING)
    assert all(one.meaning for one in policies.explain())


def test_every_field_can_be_set_from_a_file() -> None:
    """By the schema itself: nothing that a ward may choose is out of reach."""
    before = Policy(ward=WardId("ed"), salt="0" * 32)
    reachable = policies.settings_of(before)
    assert set(reachable) == set(Policy.model_fields) - {"type", "ward", "salt"}
    assert policies.require(reachable, before, before.salt) == before
    with pytest.raises(PolicyWrong):
        policies.merged(before, {"nonsense": 1}, whole=False)
