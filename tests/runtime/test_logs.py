"""Logs: one line of JSON a record, whatever a peer sent."""

import io
import json
import logging
import warnings
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.logs import JsonFormatter, Level, Trouble, set_up


class Pin:
    def __repr__(self) -> str:
        return "Pin(…)"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    set_up(Level.INFO, stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_record_is_one_line_of_json_with_its_fields(stream: io.StringIO) -> None:
    log = logging.getLogger("tapover.test")
    log.info("batch %d receipted", 7, extra={"events": 20, "late": False, "pin": Pin()})
    (line,) = lines(stream)
    assert str(line.pop("time")).endswith("+00:00")
    assert line == {
        "level": "info",
        "logger": "tapover.test",
        "message": "batch 7 receipted",
        "events": 20,
        "late": False,
        "pin": "Pin(…)",
    }


def test_the_level_is_a_setting(stream: io.StringIO) -> None:
    logging.getLogger("a").debug("not this")
    logging.getLogger("a").warning("this")
    assert [line["message"] for line in lines(stream)] == ["this"]


def test_a_bug_shows_its_traceback_within_its_line(stream: io.StringIO) -> None:
    try:
        dict[str, int]()["absent"]
    except KeyError:
        logging.getLogger("a").exception("a bug")
    (line,) = lines(stream)
    assert "Traceback" in str(line["error"])
    assert "KeyError: 'absent'" in str(line["error"])


def test_warnings_of_libraries_are_logged_too(stream: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old way", DeprecationWarning, stacklevel=1)
    assert "old way" in str(lines(stream)[0]["message"])


def test_a_field_cannot_pose_as_the_records_own(stream: io.StringIO) -> None:
    logging.getLogger("a").info("x", extra={"time": "never", "level": "debug"})
    (line,) = lines(stream)
    assert (line["level"], line["level_"], line["time_"]) == ("info", "debug", "never")


@given(st.text() | st.binary() | st.floats() | st.lists(st.text()) | st.none())
def test_whatever_a_peer_sent_it_stays_one_line(value: object) -> None:
    record = logging.LogRecord("a", logging.INFO, "", 0, "%s", (str(value),), None)
    record.field = value
    said = JsonFormatter().format(record)
    assert said.isascii()
    assert "\n" not in said
    json.loads(said, parse_constant=pytest.fail)


def test_long_words_are_cut(stream: io.StringIO) -> None:
    logging.getLogger("a").info("x" * 1_000_000, extra={"field": "y" * 1_000_000})
    assert len(stream.getvalue()) < 10_000


def test_trouble_warns_once_and_says_when_it_is_over(stream: io.StringIO) -> None:
    logging.getLogger().setLevel("DEBUG")
    trouble = Trouble(logging.getLogger("a"), "the link")
    trouble.over()
    for reason in ("refused", "refused", "timed out"):
        trouble.failed(reason)
    trouble.over()
    trouble.failed("again")
    assert [(line["level"], line["message"], line["failures"]) for line in lines(stream)] == [
        ("warning", "the link failed", 1),
        ("debug", "the link failed", 2),
        ("debug", "the link failed", 3),
        ("info", "the link works again", 3),
        ("warning", "the link failed", 1),
    ]
