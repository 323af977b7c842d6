"""How a command speaks: its answer on stdout, everything else on stderr; and how it asks.

With `--json` stdout holds one JSON object and nothing else, and nothing at all when the command
fails; without it, a line or a few for a person. Questions, words and progress bars are on stderr.
A secret comes by file descriptor, by file, or by a prompt on the terminal that does not echo it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console as RichConsole
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from hardware.piv import Pin
from provisioning.errors import BadInput, NotConfirmed
from runtime import durable

AsJson = Annotated[bool, typer.Option("--json", help="Answer with one JSON object on stdout.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; write nothing.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask whether to go on.")]
Folder = Annotated[Path, typer.Option("--folder", help="The site's folder.")]
As = Annotated[str, typer.Option("--as", help="The operator who signs.")]
GatewayAddress = Annotated[
    str, typer.Option("--gateway", help="Administration interface, HOST:PORT.")
]
PassphraseFd = Annotated[
    int | None,
    typer.Option(help="Read the root's passphrase from this open file descriptor."),
]
PassphraseFile = Annotated[
    Path | None, typer.Option(help="Read the root's passphrase from the file's first line.")
]
PinFd = Annotated[int | None, typer.Option(help="Read the PIN from this open file descriptor.")]
PinFile = Annotated[Path | None, typer.Option(help="Read the PIN from the file's first line.")]

_FILE_CAP: Final = 64 * 1024
"""What an operator writes down by hand is far below it."""
_SECRET_CAP: Final = 1024
"""A passphrase is a sentence at most."""


def words(text: str) -> None:
    """A line for the person, on stderr."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - words for the person


def answer(result: Mapping[str, Any], *, as_json: bool, text: str | None = None) -> None:
    """The command's result on stdout: JSON, or `text`, or a line for each value."""
    if as_json:
        lines = json.dumps(result)
    elif text is not None:
        lines = text
    else:
        lines = "\n".join(f"{name.replace('_', ' ')}: {_plain(it)}" for name, it in result.items())
    print(lines, flush=True)  # noqa: T201 - the command's result


def confirm(question: str, *, yes: bool) -> None:
    """Returns when the person said yes, here or by `--yes`. Raises NotConfirmed."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise NotConfirmed(f"{question} Nobody is there to answer; say --yes")
    if not typer.confirm(question, err=True):
        raise NotConfirmed("not confirmed; nothing was changed")


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[], None]]:
    """A bar on stderr, where that is a terminal; the value is called once for each thing done."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    bar = Progress(*columns, TimeRemainingColumn(), console=RichConsole(stderr=True))
    bar.disable = not sys.stderr.isatty()
    with bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)


def read_file(path: Path, cap: int = _FILE_CAP) -> bytes:
    """A file of the operator's. Raises BadInput."""
    try:
        return durable.read_capped(path, cap)
    except durable.StorageError as error:
        raise BadInput(str(error)) from error


def secret(
    what: str, *, fd: int | None = None, file: Path | None = None, twice: bool = False
) -> str:
    """A secret's one line, from descriptor `fd`, from `file`, or asked for (`twice` if new).

    Raises BadInput, which never repeats what was read: nothing there, empty, too long, not text;
    or nobody to ask.
    """
    if fd is not None and file is not None:
        raise BadInput(f"{what}: give a file descriptor or a file, not both")
    if fd is None and file is None and not sys.stdin.isatty():
        raise BadInput(f"{what}: nobody to ask; give it by file descriptor or by file")
    if fd is not None:
        found = _first_line(_read_fd(what, fd))
    elif file is not None:
        found = _first_line(read_file(file, _SECRET_CAP))
    else:
        found = typer.prompt(what, hide_input=True, err=True, confirmation_prompt=twice).encode()
    try:
        text = found.decode("utf-8")
    except UnicodeDecodeError:
        raise BadInput(f"{what}: is no text") from None
    if not text:
        raise BadInput(f"{what}: its first line is empty, and would protect nothing")
    return text


def pin(what: str, *, fd: int | None = None, file: Path | None = None, twice: bool = False) -> Pin:
    """A card's PIN, by the same ways. Raises BadInput."""
    try:
        return Pin(secret(what, fd=fd, file=file, twice=twice))
    except ValueError:
        raise BadInput("a PIN is 6 to 8 digits") from None


def _read_fd(what: str, fd: int) -> bytes:
    try:
        with os.fdopen(os.dup(fd), "rb") as file:
            data = file.read(_SECRET_CAP + 1)
    except OSError as error:
        raise BadInput(f"{what}: file descriptor {fd} cannot be read: {error.strerror}") from error
    if len(data) > _SECRET_CAP:
        raise BadInput(f"{what}: more than {_SECRET_CAP} bytes on file descriptor {fd}")
    return data


def _first_line(data: bytes) -> bytes:
    return data.partition(b"\n")[0].rstrip(b"\r")


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
