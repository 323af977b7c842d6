"""Log records as JSON, one line each, on stderr, where systemd's journal takes them.

A call gives its facts as fields: ``log.info("batch receipted", extra={"batch": 7})``. Nothing here
can tell a secret from a word, so secrets are types that show nothing of themselves; what a peer
sent is escaped and cut.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, TextIO

_FIELD_CAP: Final = 4_000  # characters: a peer's words must not fill the disk
_TRACE_CAP: Final = 16_000  # characters of a traceback: of a bug of ours, so more is kept
_OWN: Final = frozenset(
    logging.LogRecord("", 0, "", 0, "", None, None).__dict__.keys()
    | {"message", "asctime", "taskName", "color_message"}
)
_NAMED: Final = frozenset({"time", "level", "logger", "message", "error"})


class Level(StrEnum):
    """How much is logged; a setting."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class JsonFormatter(logging.Formatter):
    """``{"time", "level", "logger", "message", …fields, "error"?}``, in ASCII, one line."""

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON, whatever the record holds."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, object] = {
            "time": moment,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _cut(record.getMessage()),
        }
        for name, value in record.__dict__.items():
            if name not in _OWN:
                # A field cannot pose as the record's own time or level.
                line[f"{name}_" if name in _NAMED else name] = _plain(value)
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = self.formatException(record.exc_info)[-_TRACE_CAP:]
        return json.dumps(line)


def set_up(level: Level, stream: TextIO | None = None) -> None:
    """Log everything of this process, warnings too, as JSON on ``stream`` (stderr)."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    logging.captureWarnings(capture=True)


class Trouble:
    """One thing that may fail again and again: the first failure warns, repeats are for DEBUG."""

    def __init__(self, log: logging.Logger, what: str) -> None:
        self._log = log
        self._what = what
        self._failures = 0

    @property
    def failures(self) -> int:
        """In a row, up to now."""
        return self._failures

    def failed(self, reason: str) -> None:
        """It failed (again)."""
        self._failures += 1
        level = logging.WARNING if self._failures == 1 else logging.DEBUG
        extra = {"reason": reason, "failures": self._failures}
        self._log.log(level, "%s failed", self._what, extra=extra)

    def over(self) -> None:
        """It works; says so if it had failed."""
        if self._failures:
            extra = {"failures": self._failures}
            self._log.info("%s works again", self._what, extra=extra)
        self._failures = 0


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else str(value)  # JSON knows no infinity
    return _cut(str(value))


def _cut(text: str) -> str:
    return text if len(text) <= _FIELD_CAP else f"{text[:_FIELD_CAP]}… ({len(text)} characters)"
