"""The box of cards: a process of its own that a driver taps with."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.ward.pcscd import Pcscd
from benchmarks.ward.processes import Command, Process
from hardware.apdu import Sw
from hardware.virtual.box import Box
from hardware.virtual.control import MAX_REQUEST, BoxError, CardBox
from hardware.virtual.names import Access
from hardware.virtual.sample import personalised
from hardware.virtual.vpcd import VirtualReader
from tests.virtual.conftest import name_of
from tests.virtual.pcsc_talk import PRESENT, await_state, connect
from tests.virtual.talk import Talk

DIGEST = bytes(range(32))


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CardBox]:
    folder = tmp_path_factory.mktemp("box")
    path = folder / "box"
    argv = [sys.executable, "-m", "hardware.virtual", "box", "--socket", str(path)]
    with Process(Command("card-box", argv, folder / "log")) as process:
        process.wait_for_line("card box ready")
        yield CardBox(path)


@pytest.fixture
def ada(tmp_path: Path) -> Path:
    path = tmp_path / "ada.card"
    personalised(path=path)
    return path


def test_a_driver_inserts_counts_and_removes(
    box: CardBox, reader: VirtualReader, name: str, ada: Path
) -> None:
    told = box.insert(reader.port, ada, access=Access.CONTACTLESS_STRICT, profile="typical")
    assert told["visit"] == 1
    assert box.readers()[str(reader.port)] == str(ada)
    await_state(name, PRESENT)
    with connect(name) as connection:
        talk = Talk(connection)
        talk.select()
        assert talk.sign(0x9E, DIGEST)[1] == Sw.OK
        assert talk.verify("123456") == Sw.SECURITY_STATUS_NOT_SATISFIED
    assert box.wait(ada, 5, exchanges=3, signatures=1, powered=True)
    box.remove(reader.port)
    assert box.readers()[str(reader.port)] is None
    assert box.log(ada, visit=2) == {"exchanges": [], "signatures": [], "card_ns": 0}
    assert len(box.log(ada, visit=1)["exchanges"]) == 3
    log = box.log(ada, clear=True)
    assert [one["ins"] for one in log["exchanges"]] == [0xA4, 0x87, 0x20]
    assert log["signatures"][0]["prepared"] == DIGEST.hex()
    assert log["card_ns"] > 120e6
    assert box.log(ada)["exchanges"] == []


def test_a_tap_answers_when_the_card_has_left(
    box: CardBox, reader: VirtualReader, ada: Path
) -> None:
    told = box.tap(reader.port, ada, 0.6)
    assert told["powered_ns"] > told["inserted_ns"]
    assert (told["exchanges"], told["signatures"]) == (0, 0)
    assert box.readers()[str(reader.port)] is None


def test_a_fault_is_said_in_words(
    box: CardBox, reader: VirtualReader, name: str, ada: Path
) -> None:
    box.insert(reader.port, ada, faults=["status:sw=6A82,ins=CB", "ungated-9a"])
    await_state(name, PRESENT)
    with connect(name) as connection:
        talk = Talk(connection)
        talk.select()
        assert talk.get("5FC102")[1] == Sw.NOT_FOUND
        assert talk.sign(0x9A, DIGEST)[1] == Sw.OK
    box.remove(reader.port)


def test_what_cannot_be_done_is_said_in_words(
    box: CardBox, pcscd: Pcscd, reader: VirtualReader, ada: Path
) -> None:
    with pytest.raises(BoxError, match="no virtual reader on port 9"):
        box.insert(9, ada)
    with pytest.raises(BoxError, match="No such file"):
        box.insert(reader.port, ada.with_name("nobody.card"))
    with pytest.raises(BoxError, match="is no fault"):
        box.insert(reader.port, ada, faults=["broken:x=1"])
    with pytest.raises(BoxError, match="profile"):
        box.insert(reader.port, ada, profile="glacial")
    with pytest.raises(BoxError, match="was in no reader"):
        box.wait(ada, 0)
    assert name_of(pcscd, reader)


def test_a_box_that_is_not_there_is_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(BoxError, match="no card box at"):
        CardBox(tmp_path / "none").readers()


def test_the_socket_is_its_owners_alone_and_endless_lines_are_cut(tmp_path: Path) -> None:
    path = tmp_path / "box"
    argv = [sys.executable, "-m", "hardware.virtual", "box", "--socket", str(path)]
    with Process(Command("card-box", argv, tmp_path / "log")) as process:
        process.wait_for_line("card box ready")
        assert path.stat().st_mode & 0o777 == 0o600
        with socket.socket(socket.AF_UNIX) as driver:
            driver.connect(str(path))
            driver.sendall(b"[" * MAX_REQUEST)
            with driver.makefile("rb") as answers:
                assert b"more than 16384 bytes" in answers.read()
        assert CardBox(path).readers() == {}
    assert not path.exists()


@given(
    st.binary(max_size=200) | st.dictionaries(st.text(), st.text()).map(json.dumps).map(str.encode)
)
def test_any_line_is_answered(line: bytes) -> None:
    answer = Box().answer(line)
    assert answer["ok"] is False
    assert answer["error"]
