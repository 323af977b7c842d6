"""A held PKCS#11 session: the best that any agent on OpenSC can do.

A session lives as long as its card stays in the reader. So there are two of them: *tapped*, where
the process and its module are kept and the session begins anew with each card, which is what a tap
is; and *left in*, where the card never leaves and C_Sign alone is timed, which identifies nobody.
"""

from __future__ import annotations

from itertools import cycle
from typing import ClassVar, Self

from benchmarks.peers import opensc
from benchmarks.peers.peer import Bench, Peer
from benchmarks.peers.spawn import Talker


class HeldLeftIn(Peer):
    """Card and session stay; a sign-on is C_SignInit and C_Sign."""

    name: ClassVar = "held PKCS#11 session, card left in"
    package: ClassVar = "opensc-pkcs11"
    about: ClassVar = (
        "no tap: the card stays in the reader, the PIN stays verified, and nobody asks whose card "
        f"it is; {opensc.QUICKEST}"
    )
    starts: ClassVar = "C_SignInit is called in a session that is logged in"
    ends: ClassVar = "C_Sign has returned"

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self._arguments = (opensc.module(), "RSA-PKCS" if bench.is_rsa else "ECDSA")

    @property
    def command(self) -> str:
        conf, script = self.home / "opensc.conf", "benchmarks/peers/held_session.py"
        return f"OPENSC_CONF={conf} PIN=... python {script} {' '.join(self._arguments)}"

    def _agent(self) -> Talker:
        settings = opensc.quickest(self.home)
        environment = {**self.bench.environment, **settings, "PIN": self.bench.member.pin}
        return Talker("held_session.py", environment, *self._arguments, cover=None)

    def __enter__(self) -> Self:
        self._talker = self._agent().__enter__()
        self._ask("begin")
        return self

    def __exit__(self, *_: object) -> None:
        self._talker.__exit__()

    def once(self) -> float:
        return self._ask("sign")

    def _ask(self, verb: str, reader: int = 0) -> float:
        answer = self._talker.ask(do=verb, reader=self.bench.readers[reader].name)
        return float(answer["ns"]) / 1e6


class HeldTapped(HeldLeftIn):
    """The process stays; each card that comes is found, opened, logged in to, and signs."""

    name: ClassVar = "held PKCS#11 session, card tapped"
    about: ClassVar = (
        "a process that keeps the module loaded and initialised; the session ends with its card, "
        f"so each tap is C_OpenSession, C_Login, C_Sign; {opensc.QUICKEST}"
    )
    starts: ClassVar = "C_GetSlotList is called and sees the card"
    ends: ClassVar = "C_Sign has returned"
    card_stays: ClassVar = False

    def __enter__(self) -> Self:
        self._turn = cycle(range(len(self.bench.readers)))
        self._talker = self._agent().__enter__()
        return self

    def once(self) -> float:
        at = next(self._turn)
        self.bench.insert(self.bench.readers[at])
        try:
            took_ms = self._ask("tap", at)
            self._ask("end", at)
            return took_ms
        finally:
            self.bench.box.remove(self.bench.readers[at].port)
