"""Settings of a daemon: a TOML file, overrides from the environment, one frozen dataclass.

* The dataclass is the schema: every key is a field, with its type, its range and its default.
* An unknown key, also in an override, is refused: a mistyped setting must not be silently absent.
* A relative path is relative to the file's folder (without a file: to the working directory).
* What is wrong is said in one line: the key, what is wrong with it, what to do.

Also here: how a daemon that cannot start says so, and with which exit status.
"""

from __future__ import annotations

import os
import resource
import sys
import tomllib
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from enum import Enum, IntEnum
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, TypeVar

from runtime.durable import NotThere, StorageError, TooLarge, read_capped

_FILE_CAP: Final = 1 << 20  # settings are written by people
_SHOWN_CAP: Final = 60  # characters of a wrong value in an error
_NESTED: Final = "__"  # between table and key in an override's name

S = TypeVar("S")


class ExitStatus(IntEnum):
    """Of both daemons; systemd and people tell from it what to mend."""

    OK = 0
    FAILED = 1
    SETTINGS = 2
    CERTIFICATE = 3
    PORT = 4


class StartError(Exception):
    """The daemon cannot start until somebody mends what this says, in one line."""

    exit_status: ClassVar[ExitStatus] = ExitStatus.FAILED


class SettingsError(StartError):
    """A setting is missing, unknown or wrong."""

    exit_status = ExitStatus.SETTINGS


class CertificateError(StartError):
    """A certificate or a key is missing, unreadable, expired, or does not fit."""

    exit_status = ExitStatus.CERTIFICATE


class PortError(StartError):
    """A port to listen on is not to be had."""

    exit_status = ExitStatus.PORT

    def __init__(self, key: str, host: str, port: int, error: OSError) -> None:
        """Say that setting ``key`` names an address where listening failed with ``error``."""
        super().__init__(
            f"cannot listen on {host}:{port} ({error.strerror or error}); "
            f"stop the program that uses it, or set another `{key}`"
        )


def run_main(run: Callable[[], object], program: str) -> typing.NoReturn:
    """Run a program and exit; a StartError becomes one line on stderr and its exit status.

    Any other exception is a bug of ours, and keeps its traceback (exit status 1). What the program
    writes is its user's alone, and no core file of it shows a key, or a PIN on its way to a card.
    """
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        run()
    except StartError as error:
        sys.stderr.write(f"{program}: {' '.join(str(error).split())}\n")
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        sys.exit(130)  # as a shell says of SIGINT
    sys.exit(ExitStatus.OK)


@dataclass(frozen=True, slots=True)
class Range:
    """Bounds of a number, both allowed: ``port: Annotated[int, Range(1, 65535)]``."""

    least: float
    most: float


def load(
    cls: type[S],
    path: Path | None,
    environment: Mapping[str, str] | None = None,
    prefix: str = "TAPOVER_",
) -> S:
    """An instance of the dataclass ``cls`` from a file and overrides. Raises SettingsError.

    ``environment`` variables named ``<prefix><KEY>`` (``<prefix><TABLE>__<KEY>`` in a table) go
    before the file; they can set numbers, words, switches and paths, not lists. A ValueError of
    the dataclass's ``__post_init__`` is reported as it stands.
    """
    table: dict[str, Any] = {} if path is None else _read(path)
    overrides = _overrides(environment or {}, prefix)
    base = Path.cwd() if path is None else path.absolute().parent
    source = "settings" if path is None else str(path)
    try:
        built = _Builder(base).dataclass(cls, _merged(table, overrides), "")
    except _Wrong as wrong:
        said = " ".join(str(wrong).split())  # a key may hold a line end
        raise SettingsError(f"{source}: {said}") from wrong
    return typing.cast("S", built)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(read_capped(path, _FILE_CAP).decode())
    except NotThere as error:
        raise SettingsError(f"{path}: there is no such settings file; make it") from error
    except TooLarge as error:
        raise SettingsError(f"{error}; this is no settings file") from error
    except StorageError as error:
        raise SettingsError(f"{error}; let this user read it") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: is not TOML: {error}; correct it there") from error


class _Override(str):
    """A value from the environment: text, to be read as whatever its key wants."""

    __slots__ = ()


def _overrides(environment: Mapping[str, str], prefix: str) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for name, value in sorted(environment.items()):
        if name.startswith(prefix):
            *tables, key = name.removeprefix(prefix).lower().split(_NESTED)
            inner = table
            for step in tables:
                inner = inner.setdefault(step, {})
                if not isinstance(inner, dict):
                    raise SettingsError(f"{name}: its table is also set as a value; unset one")
            inner[key] = _Override(value)
    return table


def _merged(table: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    merged = dict(table)
    for key, value in overrides.items():
        below = merged.get(key)
        both = isinstance(value, dict) and isinstance(below, dict)
        merged[key] = _merged(typing.cast("dict[str, Any]", below), value) if both else value
    return merged


class _Wrong(Exception):
    """Key, what is wrong, and what to do."""

    def __init__(self, key: str, what: str, todo: str) -> None:
        super().__init__(f"`{key}` {what}; {todo}" if key else f"{what}; {todo}")


@dataclass(frozen=True, slots=True)
class _Builder:
    """Builds values of a type from what TOML and the environment gave."""

    base: Path

    def dataclass(self, cls: type[Any], table: object, key: str) -> object:
        if not isinstance(table, dict):
            raise _Wrong(key, "is a table of settings, not a value", f"write it as [{key}]")
        hints = typing.get_type_hints(cls, include_extras=True)
        known: dict[str, Field[Any]] = {field.name: field for field in fields(cls) if field.init}
        for name in table:
            if name not in known:
                raise _Wrong(_join(key, name), "is no setting", f"known are {', '.join(known)}")
        values: dict[str, object] = {}
        for name, field in known.items():
            if name in table:
                values[name] = self.value(hints[name], table[name], _join(key, name))
            elif field.default is MISSING and field.default_factory is MISSING:
                raise _Wrong(_join(key, name), "is missing", "set it")
        try:
            return cls(**values)
        except ValueError as error:
            raise _Wrong(key, str(error), "correct it") from error

    def value(self, hint: Any, raw: object, key: str) -> object:  # noqa: ANN401 - any annotation
        origin, arguments = typing.get_origin(hint), typing.get_args(hint)
        if origin is Annotated:
            return _within(self.value(arguments[0], raw, key), arguments[1:], key)
        if origin in {typing.Union, types.UnionType}:
            (inner,) = (each for each in arguments if each is not types.NoneType)
            return self.value(inner, raw, key)
        if origin is tuple:
            if not isinstance(raw, list):
                raise _mistyped(key, "a list", raw)
            return tuple(self.value(arguments[0], each, key) for each in raw)
        if isinstance(origin, type) and issubclass(origin, Mapping):
            if not isinstance(raw, dict):
                raise _mistyped(key, "a table", raw)
            return {name: self.value(arguments[1], raw[name], _join(key, name)) for name in raw}
        if is_dataclass(hint):
            return self.dataclass(typing.cast("type[Any]", hint), raw, key)
        return self.plain(hint, raw, key)

    def plain(self, hint: type[Any], raw: object, key: str) -> object:
        if issubclass(hint, Enum):
            for member in hint:
                if raw == member.value:
                    return member
            allowed = ", ".join(str(member.value) for member in hint)
            raise _mistyped(key, f"one of {allowed}", raw)
        if issubclass(hint, Path):
            if not isinstance(raw, str) or not raw or "\0" in raw:
                raise _mistyped(key, "a path", raw)
            return self.base / Path(raw).expanduser()
        if hint is str and isinstance(raw, str):
            return str(raw)
        if hint is bool:
            return _switch(raw, key)
        if hint is int:
            return _whole(raw, key)
        if hint is float:
            return _number(raw, key)
        raise _mistyped(key, "text" if hint is str else hint.__name__, raw)


def _switch(raw: object, key: str) -> bool:
    if isinstance(raw, bool):
        return raw
    if isinstance(raw, _Override) and raw.lower() in {"true", "false"}:
        return raw.lower() == "true"
    raise _mistyped(key, "true or false", raw)


def _whole(raw: object, key: str) -> int:
    if isinstance(raw, int) and not isinstance(raw, bool):
        return raw
    if isinstance(raw, _Override) and raw.isascii() and raw.removeprefix("-").isdigit():
        return int(raw)
    raise _mistyped(key, "a whole number", raw)


def _number(raw: object, key: str) -> float:
    if isinstance(raw, int | float) and not isinstance(raw, bool):
        return float(raw)
    if isinstance(raw, _Override):
        try:
            return float(raw)
        except ValueError:
            pass  # it is no number, which the next line says
    raise _mistyped(key, "a number", raw)


def _within(value: object, bounds: tuple[object, ...], key: str) -> object:
    for bound in bounds:
        # "not (… ≤ …)" refuses not-a-number too.
        if (
            isinstance(bound, Range)
            and isinstance(value, int | float)
            and not bound.least <= value <= bound.most
        ):
            allowed = f"from {bound.least:g} to {bound.most:g}"
            raise _Wrong(key, f"is {value}", f"choose a number {allowed}")
    return value


def _mistyped(key: str, wanted: str, raw: object) -> _Wrong:
    shown = repr(str(raw) if isinstance(raw, _Override) else raw)
    shown = shown if len(shown) <= _SHOWN_CAP else f"{shown[:_SHOWN_CAP]}…"
    return _Wrong(key, f"must be {wanted} and is {shown}", "correct it")


def _join(table: str, key: str) -> str:
    return f"{table}.{key}" if table else key
