"""The directory's versions by command: looked at, compared, returned to; a ward's policy too."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from contract.directory import Entitlement, Entry, EntryKind, Removed, Spare, Status
from contract.policy import Policy
from contract.wire import encode_base64
from provisioning.directory.administration import Administration, Answer
from provisioning.directory.mirror import Mirror, VersionUnknown
from provisioning.errors import GatewayRefused
from tests.provisioning.office import NURSE, Office, answer, made_office, member

PEOPLE = 300


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with made_office(tmp_path_factory.mktemp("office")) as office:
        office.send(member(n) for n in range(PEOPLE))
        yield office


def status(number: int, to: Status) -> Entitlement:
    return member(number).model_copy(update={"status": to})


def removed(number: int) -> Removed:
    guid = f"{number + 1:032x}"
    return Removed(kind=EntryKind.ENTITLEMENT, id=guid, salt=secrets.token_hex(16))


def said(office: Office) -> dict[str, Entry]:
    """What stands, by card, but for salts and policies."""
    with office.administration() as administration, Mirror.open(office.site) as mirror:
        mirror.sync(administration)
        entries = [Entitlement.from_bytes(one) for one in mirror.entries(None, ENTITLEMENTS)]
    return {one.guid: one.model_copy(update={"salt": "0" * 32}) for one in entries}


ENTITLEMENTS = EntryKind.ENTITLEMENT


def test_history_names_who_asked_for_each_version(office: Office) -> None:
    office.send([status(1, Status.SUSPENDED)], "otto")
    newest, *_ = answer(office.tapover("directory", "history", "--last", "5"))["versions"]
    assert (newest["operator"], newest["entries"]) == ("otto", 1)
    assert newest["version"] == str(office.version)


def test_one_entry_is_shown_as_it_is_and_as_it_was(office: Office) -> None:
    before = office.version
    office.send([status(2, Status.SUSPENDED)])
    guid = f"{3:032x}"
    now = answer(office.tapover("directory", "show", "entitlement", guid))
    then = ("directory", "show", "entitlement", guid, "--version", str(before))
    assert now["entry"]["status"] == "suspended"
    assert answer(office.tapover(*then))["entry"]["status"] == "active"
    missing = office.tapover("directory", "show", "terminal", "nowhere")
    assert (missing.returncode, "[102]" in missing.stderr) == (1, True)
    unknown = office.tapover(*then[:-1], "9999")
    assert (unknown.returncode, "[404]" in unknown.stderr) == (2, True)


def test_any_version_is_returned_to_by_one_command_that_shows_the_difference_first(
    office: Office,
) -> None:
    porter = NURSE.model_copy(update={"id": "porter"})
    office.send([member(290, porter)])
    wanted, stood = office.version, said(office)
    office.send([*(member(n, porter) for n in range(20, 60)), member(500)])
    office.send([removed(70)])
    office.send([status(71, Status.SUSPENDED)])
    changed = office.version
    dry = office.tapover("directory", "restore", "--version", str(wanted), "--dry-run")
    assert answer(dry)["difference"]["total"] == 43
    assert "of h-20: positions: porter [R8001] -> nurse [R8001]" in dry.stderr
    assert "and 3 more" in dry.stderr
    unasked = office.tapover("directory", "restore", "--version", str(wanted))
    assert unasked.returncode == 3
    assert office.version == changed
    done = answer(office.tapover("directory", "restore", "--version", str(wanted), "--yes"))
    assert (done["changed"], done["stays"]) == (True, [])
    assert said(office) == stood
    assert office.version > changed, "a change like any other"
    # And back again: the version that was left is a version too.
    answer(office.tapover("directory", "restore", "--version", str(changed), "--yes"))
    assert f"{71:032x}" not in said(office)


def test_a_lost_card_does_not_come_back_with_an_old_version(office: Office) -> None:
    wanted = office.version
    office.send([status(80, Status.LOST)])
    office.send([status(81, Status.REVOKED)])
    office.send([removed(81)])
    office.send([status(82, Status.SUSPENDED)])
    done = answer(office.tapover("directory", "restore", "--version", str(wanted), "--yes"))
    assert {line.split(" of ")[1] for line in done["stays"]} == {
        "h-80 was revoked or lost",
        "h-81 was revoked or lost",
    }
    stands = said(office)
    lost, back = stands[f"{81:032x}"], stands[f"{83:032x}"]
    assert isinstance(lost, Entitlement)
    assert isinstance(back, Entitlement)
    assert (lost.status, back.status) == (Status.LOST, Status.ACTIVE)
    assert f"{82:032x}" not in stands


def spare(number: int, to: Status = Status.ACTIVE) -> Spare:
    card = member(number)
    return Spare(
        guid=card.guid,
        credentials=card.credentials,
        status=to,
        not_after_ms=card.not_after_ms,
        salt=secrets.token_hex(16),
    )


def test_a_spare_comes_back_neither_fresh_nor_somebodys_nor_from_the_lost(office: Office) -> None:
    office.send([spare(700), spare(701), spare(702), member(702)])
    wanted = office.version
    # By now one is used, one is lost, and one that was used has another PIN and is a spare again.
    office.send([member(700), spare(701, Status.LOST)])
    office.send([removed(702)])
    done = answer(office.tapover("directory", "restore", "--version", str(wanted), "--yes"))
    assert sorted(done["stays"]) == [
        f"card {703:032x} of h-702 is a spare again",
        f"spare {701:032x} was used by h-700",
        f"spare {702:032x} was revoked or lost",
    ]
    assert done["changed"] is False
    # An ordinary difference of a spare is restored like any other.
    office.send([Removed(kind=EntryKind.SPARE, id=spare(700).guid, salt=secrets.token_hex(16))])
    again = answer(office.tapover("directory", "restore", "--version", str(wanted), "--yes"))
    assert again["changed"] is True
    shown = answer(office.tapover("directory", "show", "spare", spare(700).guid))
    assert shown["entry"]["status"] == "active"


def test_a_return_that_would_end_too_much_waits_for_a_second_operator(office: Office) -> None:
    wanted = office.version
    office.send(member(n) for n in range(600, 640))
    stopped = office.tapover("directory", "restore", "--version", str(wanted), "--yes")
    assert (stopped.returncode, "it would end 40 people" in stopped.stderr) == (3, True)
    subject = stopped.stderr.rpartition("approve ")[2].split()[0]
    approved = office.tapover("directory", "approve", subject, "--yes", who="otto")
    assert answer(approved)["state"] == "done"
    assert f"{601:032x}" not in said(office)


def test_a_wards_policy_is_shown_changed_and_compared(office: Office) -> None:
    shown = answer(office.tapover("ward", "show", "ed"))["policy"]
    assert shown["idle_lock_s"] == Policy.model_fields["idle_lock_s"].default
    asked = ("ward", "set", "ed", "idle_lock_s=240", "tap_out=close")
    dry = office.tapover(*asked, "--dry-run")
    assert answer(dry)["changed"] is False
    assert "ward ed: policy" in dry.stderr
    first = answer(office.tapover(*asked, "--yes"))
    assert first["changed"] is True
    again = office.tapover("ward", "set", "ed", "idle_lock_s=200", "--yes")
    assert answer(again)["changed"] is True
    assert "idle_lock_s: 240 -> 200" in again.stderr
    shown = answer(office.tapover("ward", "show", "ed"))["policy"]
    assert (shown["idle_lock_s"], shown["tap_out"]) == (200, "close")
    same = office.tapover("ward", "set", "ed", "idle_lock_s=200", "--yes")
    assert answer(same)["changed"] is False
    for wrong in ("idle_lock_s=999999", "no_such=1", "idle_lock_s"):
        refused = office.tapover("ward", "set", "ed", wrong, "--yes")
        assert (refused.returncode, refused.stdout) == (2, ""), wrong


class Lying(Administration):
    """A gateway, or somebody in its place, that says what it likes."""

    def __init__(self, office: Office, says: dict[str, object]) -> None:
        honest = office.administration()
        super().__init__(honest.gateway, honest.operator)
        self.says = says

    def get(self, path: str) -> Answer:
        import json

        assert path
        return Answer(200, json.dumps(self.says).encode())


def changes(office: Office) -> list[str]:
    with office.administration() as administration:
        found = administration.get("/v1/directory/changes?epoch=0&after=0").json()["changes"]
    return list(found)


def test_a_copy_takes_nothing_that_the_site_did_not_sign_in_its_order(office: Office) -> None:
    from contract.wire import decode_base64

    first, second, *_ = changes(office)
    lines = decode_base64(first).split(b"\n")
    exchanged = encode_base64(b"\n".join([lines[0], *reversed(lines[1:])]))
    bent = encode_base64(decode_base64(first).replace(b'"sig":"M', b'"sig":"N', 1))
    lies: list[list[object]] = [[second], [exchanged], [first, first], [bent], ["?"], [7]]
    (office.site.authority / "directory.sqlite").unlink()
    for lie in lies:
        with Mirror.open(office.site) as mirror:
            says = {"changes": lie, "requests": [None] * len(lie)}
            with pytest.raises(GatewayRefused):
                mirror.sync(Lying(office, says))
            assert mirror.head.n <= 1
    with office.administration() as administration, Mirror.open(office.site) as mirror:
        assert mirror.sync(administration) == office.version


def test_a_copy_that_is_none_is_begun_anew(office: Office) -> None:
    path = office.site.authority / "directory.sqlite"
    path.write_bytes(b"not a database, but long enough to be looked at as one" * 100)
    assert answer(office.tapover("directory", "history", "--last", "1"))["versions"]
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("text", ["", "x", "1.x", "0", "99.1", "-1"])
def test_a_version_that_never_was_is_unknown(office: Office, text: str) -> None:
    with Mirror.open(office.site) as mirror, pytest.raises(VersionUnknown):
        mirror.parse_version(text)


def test_who_is_told_to_wait_waits_so_long_and_asks_again(office: Office) -> None:
    waits: list[float] = []
    honest = office.administration()
    with Administration(honest.gateway, honest.operator, waits.append) as eager:
        for _ in range(600):
            assert eager.get("/healthz").json()["log_size"]
    assert set(waits) == {1.0}
