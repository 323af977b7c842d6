"""How a driver speaks to a box of cards: one JSON object a line over a Unix socket, and back.

Requests name their verb in ``do``: insert, remove, tap, wait, log, readers. Answers hold ``ok``,
and the result or ``error`` in words. Times are monotonic nanoseconds of this machine.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from hardware.apdu import HardwareError
from hardware.virtual.behaviour import PROFILES, Behaviour
from hardware.virtual.faults import parse_faults
from hardware.virtual.names import Access

MAX_REQUEST: Final = 16_384
"""Longest request line: a path and a few words; a peer that sends more is not a driver of ours."""

MAX_ANSWER: Final = 256 * 1024 * 1024
"""Longest answer line: the record of a card that was tapped for a whole benchmark."""

MAX_WAIT_S: Final = 600.0
"""Longest hold or wait in one request; a driver that wants more asks again."""


class BoxError(HardwareError):
    """The box refused, in its words, or cannot be reached."""


class _Request(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", hide_input_in_errors=True)


class _WithCard(_Request):
    port: int = Field(ge=1, le=65_535)
    card: str
    access: Literal["contact", "contactless-strict", "contactless-lenient"] = "contact"
    profile: Literal["instant", "fast", "typical", "slow"] = "instant"
    faults: tuple[str, ...] = ()

    def behaviour(self) -> Behaviour:
        """What these words mean. Raises FaultWordsError."""
        faults, quirks = parse_faults(self.faults)
        return Behaviour(Access(self.access), PROFILES[self.profile], quirks, faults)


class Insert(_WithCard):
    """Put a card in and leave it there."""

    do: Literal["insert"]


class Tap(_WithCard):
    """Hold a card to a reader; the answer comes once it has left."""

    do: Literal["tap"]
    hold_s: float = Field(ge=0, le=MAX_WAIT_S)


class Remove(_Request):
    """Take out what is in a reader."""

    do: Literal["remove"]
    port: int = Field(ge=1, le=65_535)


class Wait(_Request):
    """Wait until a card's latest visit has come to power and so many exchanges and signatures."""

    do: Literal["wait"]
    card: str
    exchanges: int = Field(default=0, ge=0)
    signatures: int = Field(default=0, ge=0)
    powered: bool = False
    timeout_s: float = Field(ge=0, le=MAX_WAIT_S)


class Log(_Request):
    """What a card has recorded, of one visit or all; ``clear`` begins it anew."""

    do: Literal["log"]
    card: str
    visit: int | None = None
    clear: bool = False


class Readers(_Request):
    """Which readers were used, and the card in each."""

    do: Literal["readers"]


Request = Insert | Tap | Remove | Wait | Log | Readers
REQUEST: Final[TypeAdapter[Request]] = TypeAdapter(Annotated[Request, Field(discriminator="do")])


class CardBox:
    """The driver's side. Every call is a connection of its own, so threads may share one box.

    Every method raises BoxError when the box refuses or is not there.
    """

    def __init__(self, path: Path) -> None:
        """Speak to the box that serves ``path``."""
        self._path = path

    def insert(
        self,
        port: int,
        card: Path,
        *,
        access: Access = Access.CONTACT,
        profile: str = "instant",
        faults: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Put ``card`` into the reader on ``port``: visit, inserted_ns."""
        return self._ask(
            do="insert",
            port=port,
            card=str(card),
            access=access.value,
            profile=profile,
            faults=list(faults),
        )

    def tap(
        self,
        port: int,
        card: Path,
        hold_s: float,
        *,
        access: Access = Access.CONTACT,
        profile: str = "instant",
        faults: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Hold ``card`` to the reader: visit, inserted_ns, powered_ns, exchanges, signatures."""
        return self._ask(
            do="tap",
            port=port,
            card=str(card),
            hold_s=hold_s,
            access=access.value,
            profile=profile,
            faults=list(faults),
        )

    def remove(self, port: int) -> None:
        """Take the card out of the reader on ``port``."""
        self._ask(do="remove", port=port)

    def wait(
        self,
        card: Path,
        timeout_s: float,
        *,
        exchanges: int = 0,
        signatures: int = 0,
        powered: bool = False,
    ) -> bool:
        """Whether the latest visit of ``card`` came to so much in time."""
        answer = self._ask(
            do="wait",
            card=str(card),
            exchanges=exchanges,
            signatures=signatures,
            powered=powered,
            timeout_s=timeout_s,
        )
        return bool(answer["reached"])

    def log(self, card: Path, *, visit: int | None = None, clear: bool = False) -> dict[str, Any]:
        """The record of ``card``, of one ``visit`` or all: exchanges, signatures, card_ns."""
        return self._ask(do="log", card=str(card), visit=visit, clear=clear)

    def readers(self) -> dict[str, Any]:
        """The card in each reader that was used, by port; None in an empty one."""
        readers: dict[str, Any] = self._ask(do="readers")["readers"]
        return readers

    def _ask(self, **request: object) -> dict[str, Any]:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.connect(str(self._path))
                connection.sendall(json.dumps(request).encode() + b"\n")
                with connection.makefile("rb") as answers:
                    line = answers.readline(MAX_ANSWER)
        except OSError as error:
            raise BoxError(f"no card box at {self._path}: {error.strerror}") from error
        if not line.endswith(b"\n"):
            raise BoxError("the card box ended in the middle of an answer")
        answer: dict[str, Any] = json.loads(line)
        if not answer.pop("ok"):
            raise BoxError(str(answer["error"]))
        return answer
