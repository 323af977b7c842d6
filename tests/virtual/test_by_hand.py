"""``python -m hardware.virtual``: somebody makes cards and taps them by hand."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hardware.virtual.__main__ import main
from hardware.virtual.card import Card
from hardware.virtual.vpcd import VirtualReader
from tests.virtual.pcsc_talk import PRESENT, await_state, connect
from tests.virtual.talk import Talk


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ada.card"


def test_a_new_card_is_blank_and_shown(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", str(path)]) == 0
    assert main(["show", str(path)]) == 0
    said = capsys.readouterr().out
    assert "Its PIN is 123456" in said
    assert "the card is blank" in said
    assert "PIN tries left 3 of 3" in said


def test_a_personalised_card_and_its_clone(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clone = path.with_name("clone.card")
    assert main(["new", str(path), "--personalised", "--ungated-9a"]) == 0
    assert main(["new", str(clone), "--clone-of", str(path)]) == 0
    capsys.readouterr()
    assert main(["show", str(clone)]) == 0
    said = capsys.readouterr().out
    one, other = Card.load(path), Card.load(clone)
    assert one.guid is not None
    assert one.guid.hex() in said
    assert one.keys[0x9E].public != other.keys[0x9E].public
    assert "key 9A         ECC_P256, no PIN, with certificate" in said


def test_a_card_is_not_overwritten(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", str(path)]) == 0
    assert main(["new", str(path)]) == 1
    assert "never overwritten" in capsys.readouterr().err


def test_a_tap_tells_what_the_reader_asked(
    reader: VirtualReader, name: str, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["new", str(path), "--personalised"])

    def terminal() -> None:
        await_state(name, PRESENT)
        with connect(name) as connection:
            talk = Talk(connection)
            talk.select()
            talk.get("5FC102")
            talk.sign(0x9E, bytes(32))

    thread = threading.Thread(target=terminal)
    thread.start()
    port = str(reader.port)
    assert main(["tap", str(path), "--reader-port", port, "--profile", "fast", "--hold", "1"]) == 0
    thread.join()
    said = capsys.readouterr().out
    assert "Seen by the reader after" in said
    assert "GENERAL_AUTHENTICATE" in said
    assert "3 exchanges" in said
    assert "Signed with 9E." in said


def test_a_tap_too_short_to_be_noticed_says_so(
    reader: VirtualReader, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["new", str(path)])
    # Just after a poll nothing looks for 0.4 s.
    with VirtualReader(reader.port) as other:
        visit = other.insert(Card())
        assert visit.wait_for(5, powered=True)
    other.await_noticed()
    assert main(["tap", str(path), "--reader-port", str(reader.port), "--hold", "0"]) == 0
    assert "did not notice" in capsys.readouterr().out


def test_an_inserted_card_stays_until_enter(reader: VirtualReader, name: str, path: Path) -> None:
    main(["new", str(path)])
    argv = ["-m", "hardware.virtual", "insert", str(path), "--reader-port", str(reader.port)]
    with subprocess.Popen(
        [sys.executable, *argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as person:
        await_state(name, PRESENT)
        said, _ = person.communicate("\n", timeout=10)
    assert person.returncode == 0
    assert "Press Enter" in said
    assert "0 exchanges" in said


def test_words_it_does_not_understand(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["new", str(path)])
    assert main(["tap", str(path), "--reader-port", "9", "--fault", "broken"]) == 1
    assert "there are: torn:after=N" in capsys.readouterr().err
    assert main(["tap", str(path), "--reader-port", "9"]) == 1
    assert "no virtual reader on port 9" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["tap", str(path)])


def test_faults_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["faults"]) == 0
    assert "torn:after=N" in capsys.readouterr().out


def test_no_command_takes_a_pin(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("new", "tap", "insert", "show", "box"):
        with pytest.raises(SystemExit, match="0"):
            main([command, "--help"])
        assert "--pin" not in capsys.readouterr().out
