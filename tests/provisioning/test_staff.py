"""The staff feed: read whole or refused whole, shown first, stopped where it is bad, undone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.directory import Status
from provisioning.directory.staff_feed import Feed, FeedRefused
from tests.provisioning.office import HEADER, Office, answer, made_office, member, row

PEOPLE = 120


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with made_office(tmp_path_factory.mktemp("office")) as office:
        office.send(member(n) for n in range(PEOPLE))
        yield office


def everybody(*changed: str, without: tuple[int, ...] = ()) -> list[str]:
    """The whole staff as it is, but for these lines."""
    instead = {line.split(",")[0]: line for line in changed}
    present = [n for n in range(PEOPLE) if n not in without]
    return [instead.get(f"h-{n}", row(n)) for n in present]


def test_a_feed_that_says_what_stands_changes_nothing(office: Office) -> None:
    before = office.version
    done = answer(office.tapover("staff", "import", str(office.feed(*everybody())), "--yes"))
    assert (done["people"], done["changed"], done["changed_cards"]) == (PEOPLE, False, 0)
    assert office.version == before


def test_the_difference_is_shown_first_and_a_dry_run_changes_nothing(office: Office) -> None:
    before = office.version
    feed = office.feed(*everybody(row(7, "porter"), without=(9,)))
    shown = office.tapover("staff", "import", str(feed), "--dry-run")
    assert answer(shown)["difference"] == {"total": 2, "changed": 2}
    assert "of h-7: positions: nurse [R8001] -> porter [R8001]" in shown.stderr
    assert "of h-9: status: active -> suspended" in shown.stderr
    unasked = office.tapover("staff", "import", str(feed))
    assert (unasked.returncode, unasked.stdout) == (3, "")
    assert "of h-7: positions: nurse [R8001] -> porter [R8001]" in unasked.stderr
    assert "say --yes" in unasked.stderr
    assert office.version == before


def test_who_moves_has_the_new_position_and_who_is_gone_is_suspended(office: Office) -> None:
    feed = office.feed(*everybody(row(8, "porter"), without=(10,)), row(900))
    done = answer(office.tapover("staff", "import", str(feed), "--yes"))
    assert (done["changed_cards"], done["ended_cards"], done["without_card"]) == (1, 1, 1)
    moved, gone = office.entitlement(8), office.entitlement(10)
    assert moved is not None
    assert gone is not None
    assert [one.id for one in moved.positions] == ["porter"]
    assert gone.status is Status.SUSPENDED
    again = answer(office.tapover("staff", "import", str(feed), "--yes"))
    assert again["changed"] is False
    back = answer(office.tapover("staff", "import", str(office.feed(*everybody())), "--yes"))
    assert back["still_suspended"] == 1, "a feed lifts no suspension"
    shown = answer(office.alone("staff", "show", "h-8"))
    assert (shown["holder"], shown["positions"][0]["id"]) == ("h-8", "nurse")


def test_a_delta_ends_only_who_leaves_in_so_many_words(office: Office) -> None:
    feed = office.feed(row(11, "porter", ""), row(12, leaves="yes"), header=f"{HEADER},leaves")
    done = answer(office.tapover("staff", "import", str(feed), "--delta", "--yes"))
    assert (done["changed_cards"], done["ended_cards"]) == (1, 1)
    left = office.entitlement(12)
    assert left is not None
    assert left.status is Status.SUSPENDED


def test_half_a_feed_stops_and_only_a_second_operator_lets_it_through(office: Office) -> None:
    before = office.version
    feed = str(office.feed(*(row(n) for n in range(PEOPLE // 2))))
    stopped = office.tapover("staff", "import", feed, "--yes")
    assert (stopped.returncode, stopped.stdout) == (3, "")
    assert "[401]" in stopped.stderr
    assert office.version == before
    found = re.search(r"tapover directory approve ([0-9a-f]{64})", stopped.stderr)
    assert found
    again = office.tapover("staff", "import", feed, "--yes")
    assert (again.returncode, found[1] in again.stderr) == (3, True), "it waits, once"

    (waits,) = answer(office.tapover("directory", "waiting", who="otto"))["waiting"]
    assert (waits["subject"], waits["operator"]) == (found[1], "ines")
    own = office.tapover("directory", "approve", found[1], "--yes")
    assert (own.returncode, "another operator" in own.stderr) == (1, True)
    approved = office.tapover("directory", "approve", found[1], "--yes", who="otto")
    assert (
        "h-100: status: active -> suspended"
        in office.tapover("directory", "diff", "--from", str(before), "--all").stdout
    )
    assert answer(approved)["state"] == "done"
    assert "ines asks; it would end" in approved.stderr

    undone = answer(office.tapover("directory", "restore", "--version", str(before), "--yes"))
    assert undone["changed"] is True
    one = office.entitlement(100)
    assert one is not None
    assert one.status is Status.ACTIVE


def test_a_refused_feed_comes_to_nothing(office: Office) -> None:
    before = office.version
    feed = str(office.feed(row(0)))
    stopped = office.tapover("staff", "import", feed, "--yes")
    found = re.search(r"approve ([0-9a-f]{64})", stopped.stderr)
    assert found
    said = answer(office.tapover("directory", "refuse", found[1], who="otto"))
    assert said["state"] == "refused"
    again = office.tapover("staff", "import", feed, "--yes")
    assert (again.returncode, "[402]" in again.stderr) == (1, True)
    assert office.version == before


FAULTS = {
    "an unknown column": (f"{HEADER},shoe_size", [f"{row(1)},44"], "line 1: column 'shoe_size'"),
    "a missing column": (HEADER.replace(",role", ""), [], "line 1: column 'role' is missing"),
    "a name that is none": (HEADER, [row(1), row(2).replace("h-2", "H 2")], "line 3: holder 'H 2'"),
    "too few values": (HEADER, [row(1), "h-2,Person"], "line 3: not one value for each"),
    "too many values": (HEADER, [f"{row(1)},more"], "line 2: not one value for each"),
    "a role that is none": (HEADER, [row(1).replace("R8001", "r 8")], "line 2: role:"),
    "an empty name": (HEADER, [row(1).replace("Person 1", "")], "line 2: full_name:"),
    "the same twice": (HEADER, [row(1), row(1)], "line 3: h-1: position nurse stands in an earl"),
    "two names": (HEADER, [row(1), row(1, "porter").replace("PN", "XX")], "line 3: h-1: named"),
    "leaves perhaps": (f"{HEADER},leaves", [row(1, leaves="maybe")], "line 2: leaves:"),
    "a quote that never ends": (HEADER, [f'"{row(1)}'], "line 2:"),
    "a ward that is none": (f"{HEADER},areas", [f"{row(1)},E/D"], "line 2: areas:"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_line_is_named_and_nothing_of_the_feed_is_taken(fault: str, tmp_path: Path) -> None:
    header, lines, words = FAULTS[fault]
    (tmp_path / "feed.csv").write_text("\n".join([header, *lines]) + "\n")
    with pytest.raises(FeedRefused) as refused:
        Feed(tmp_path / "feed.csv")
    assert words in refused.value.faults[0]


def test_every_wrong_line_is_named_up_to_fifty(office: Office, tmp_path: Path) -> None:
    before = office.version
    lines = [row(n).replace("R8001", "?") if n % 2 else row(n) for n in range(PEOPLE)]
    done = office.tapover("staff", "import", str(office.feed(*lines)), "--yes")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("role:") == 50
    assert "line 3: role:" in done.stderr
    assert f"and {PEOPLE // 2 - 50} more" in done.stderr
    assert "[405]" in done.stderr
    assert office.version == before


def test_a_person_may_hold_several_positions(tmp_path: Path) -> None:
    lines = [f"{row(1)},ed itu", f"{row(2)},", f"{row(1, 'porter')},"]
    (tmp_path / "feed.csv").write_text("\n".join([f"{HEADER},areas", *lines]))
    with Feed(tmp_path / "feed.csv") as feed:
        person = feed.find("h-1")
        assert person is not None
        held = {one.id: one.areas for one in person.holder.positions}
        assert held == {"nurse": ("ed", "itu"), "porter": ()}
        assert [one.holder.id for one in feed.all()] == ["h-1", "h-2"]
