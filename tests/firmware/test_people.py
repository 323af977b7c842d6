"""Searching for a person at a terminal: bounded, neutral about case, and never all of the staff."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract.directory import Entitlement, EntryKind, Name, Status
from contract.ids import Digest, Guid, HolderId, Version
from firmware_py.help.finding import SEARCH_S
from firmware_py.trust.people import MOST_FOUND, Found, cards_of, find
from firmware_py.trust.statements import Held, Row
from firmware_py.trust.store import Directory, DirectoryDamaged
from tests.firmware.rights import entitlement
from tests.firmware.test_store_size import rows

FAR_NS = 1 << 62


def person(n: int, full: str, initials: str, **changes: object) -> Entitlement:
    name = Name(full=full, short=full.split(maxsplit=1)[0], initials=initials)
    holder = HolderId(f"h-{4711000 + n}")
    return entitlement(guid=Guid(f"{n + 1:032x}"), holder=holder, name=name, **changes)


STAFF = (
    person(1, "Amal Haddad", "AH"),
    person(2, "Bronwen Rees", "BR"),
    person(3, "Siân Évans", "SÉ"),
    person(4, "Ana Holder", "AH"),
    person(5, "Olu Adeyemi", "OA", status=Status.LOST),
    person(6, "Percy 100% O'Neil_Smith", "PO"),
)


def directory_of(folder: Path, *people: Entitlement) -> Directory:
    directory, _ = Directory.open_or_replace(folder / "directory.sqlite", Held())
    writer = directory.begin_snapshot()
    writer.add(Row(EntryKind.ENTITLEMENT, one.guid, one.to_bytes()) for one in people)
    writer.swap(Held(Version(1, 1), Digest("ab" * 32), 0))
    return directory


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Directory]:
    made = directory_of(tmp_path, *STAFF)
    yield made
    made.close()


def found(directory: Directory, text: str, until_ns: int = FAR_NS) -> Found:
    return find(directory, text, lambda _: True, lambda: 0, until_ns)


def names(result: Found) -> list[str]:
    return [one.name.full for one in result.people]


@pytest.mark.parametrize(
    ("text", "who"),
    [
        ("AH", ["Amal Haddad", "Ana Holder"]),
        ("ah", ["Amal Haddad", "Ana Holder"]),
        ("haddad", ["Amal Haddad"]),
        ("had am", ["Amal Haddad"]),
        ("h-4711002", ["Bronwen Rees"]),
        ("4711002", ["Bronwen Rees"]),
        ("SIÂN", ["Siân Évans"]),
        ("évans", ["Siân Évans"]),
        ("sé", ["Siân Évans"]),
        ("100%", ["Percy 100% O'Neil_Smith"]),
        ("il_sm", ["Percy 100% O'Neil_Smith"]),
        ("o'neil", ["Percy 100% O'Neil_Smith"]),
        ("adeyemi", []),  # the card is lost: nobody is told of it here
        ("%", []),
        ("__", []),
        ("a", []),
        ("  ", []),
        ('"holder"', []),
        ("entitlement", []),
        ("nurse", []),  # of a position, not of a name
        ("nobody", []),
    ],
)
def test_by_initials_part_of_the_name_or_staff_number(
    directory: Directory, text: str, who: list[str]
) -> None:
    assert names(found(directory, text)) == who


def test_whom_the_ward_cannot_use_is_not_told_of(directory: Directory) -> None:
    only = find(directory, "ah", lambda one: one.name.full != "Amal Haddad", lambda: 0, FAR_NS)
    assert names(only) == ["Ana Holder"]


def test_no_more_are_told_than_the_glass_has_room_for(tmp_path: Path) -> None:
    crowd = [person(n, f"Nurse Number{n}", "NN") for n in range(MOST_FOUND + 1)]
    crowded = directory_of(tmp_path, *crowd)
    assert (len(found(crowded, "nn").people), found(crowded, "nn").more) == (MOST_FOUND, True)
    assert not found(crowded, "number3").more
    crowded.close()


def test_somebody_with_two_cards_is_one_person(tmp_path: Path) -> None:
    first = person(1, "Amal Haddad", "AH")
    second = first.model_copy(update={"guid": Guid("ee" * 16)})
    made = directory_of(tmp_path, first, second)
    assert names(found(made, "haddad")) == ["Amal Haddad"]
    both = cards_of(made, first.holder, lambda: 0, FAR_NS)
    assert {one.guid for one in both or ()} == {first.guid, second.guid}
    nobody = HolderId("h-471100")  # a part of an id is nobody's
    assert cards_of(made, nobody, lambda: 0, FAR_NS) == []
    made.close()


def test_out_of_time_it_says_so_and_tells_what_it_has(tmp_path: Path) -> None:
    directory, _ = Directory.open_or_replace(tmp_path / "directory.sqlite", Held())
    writer = directory.begin_snapshot()
    writer.add(rows(0, 5_000))
    writer.swap(Held(Version(1, 1), Digest("ab" * 32), 0))
    cut = find(directory, "nobody here", lambda _: True, lambda: 1, 1)
    assert (cut.people, cut.cut) == ((), True)
    assert cards_of(directory, HolderId("h-nobody"), lambda: 1, 1) is None
    whole = find(directory, "nobody here", lambda _: True, lambda: 0, FAR_NS)
    assert not whole.cut
    directory.close()


def test_a_torn_row_is_damage_and_no_answer(tmp_path: Path) -> None:
    made = directory_of(tmp_path, *STAFF)
    with closing(sqlite3.connect(tmp_path / "directory.sqlite")) as connection, connection:
        connection.execute(
            "UPDATE entry SET line = substr(line, 1, 300) WHERE id = ?", (f"{2:032x}",)
        )
    with pytest.raises(DirectoryDamaged):
        found(made, "haddad")
    made.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(text=st.text(max_size=80))
def test_no_text_finds_who_is_not_meant(directory: Directory, text: str) -> None:
    """Whatever is typed: nothing raises, and everybody found has all of its words."""
    for one in found(directory, text).people:
        told = f"{one.name.full} {one.name.initials} {one.holder}".casefold()
        assert all(word in told for word in text.casefold().split()[:4])
        assert one.status is Status.ACTIVE


def look_ups_meanwhile(directory: Directory, search: Callable[[], Found]) -> tuple[Found, float]:
    """The search in a thread, and the longest look-up of a card beside it, in seconds."""
    answers: list[Found] = []
    searching = threading.Thread(target=lambda: answers.append(search()))
    searching.start()
    longest = 0.0
    while searching.is_alive():
        begin = time.perf_counter()
        directory.entitlement(Guid("ab" * 16))
        longest = max(longest, time.perf_counter() - begin)
    return answers[0], longest


@pytest.mark.full
@pytest.mark.timeout(300)
def test_a_national_directory_is_searched_beside_the_taps(tmp_path: Path) -> None:
    """1.1 million people: bounded in time, and a card is looked up meanwhile as always."""
    directory, _ = Directory.open_or_replace(tmp_path / "directory.sqlite", Held())
    writer = directory.begin_snapshot()
    for first in range(0, 1_100_000, 10_000):
        writer.add(rows(first, 10_000))
    writer.swap(Held(Version(1, 1), Digest("ab" * 32), 0))
    begin = time.monotonic_ns()
    until_ns = begin + SEARCH_S * 1_000_000_000
    result, longest_s = look_ups_meanwhile(
        directory,
        lambda: find(directory, "nobody here", lambda _: True, time.monotonic_ns, until_ns),
    )
    took_s = (time.monotonic_ns() - begin) / 1e9
    print(f"1.1 million in {took_s:.1f} s (cut: {result.cut}); a look-up {longest_s * 1e3:.1f} ms")
    assert result.people == ()
    assert took_s <= SEARCH_S + 1.0
    assert longest_s <= 0.25
    directory.close()
    (tmp_path / "directory.sqlite").unlink()
