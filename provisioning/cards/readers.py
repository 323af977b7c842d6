"""One card in one reader, for a person at a desk: waited for in the open, no deadline on a card."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from hardware.apdu import CardChannel
from hardware.pcsc import Context, PcscReaders
from hardware.readers import EventState, Interface, ReaderName, ReaderRules
from provisioning.errors import BadInput, NotThere
from runtime.clock import Clock

T = TypeVar("T")

PATIENCE_S: Final = 600.0
"""How long a person may take over the next card before the command ends."""

_LOOK_S: Final = 1.0  # one wait inside PC/SC, after which Ctrl-C is heard
_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class DeskReader:
    """The one reader whose name was meant."""

    name: ReaderName
    interface: Interface
    clock: Clock
    patience_s: float = PATIENCE_S

    @classmethod
    def meant(cls, part_of_name: str, clock: Clock, patience_s: float = PATIENCE_S) -> DeskReader:
        """By a part of its name. Raises NotThere, BadInput (more than one) and ServiceError."""
        rules = ReaderRules()
        context = Context()
        try:
            names = context.list_readers()
        finally:
            context.close()
        meant = [name for name in names if part_of_name.lower() in name.lower()]
        if not meant:
            raise NotThere(
                f"no reader with '{part_of_name}' in its name; there are: {_list(names)}"
            )
        if len(meant) > 1:
            raise BadInput(f"say which reader with --reader: {_list(meant)}")
        interface = rules.classify(meant[0]) or Interface.CONTACT
        return cls(meant[0], interface, clock, patience_s)

    def with_card(self, work: Callable[[CardChannel], T]) -> T:
        """The result of `work` on the card in it. Raises the errors of `hardware`."""
        with PcscReaders(ReaderRules(), self.clock.monotonic_ns).connect(self.name) as card:
            return work(card)

    def wait_card(self) -> None:
        """Return when a card that answers is in it. Raises NotThere after `patience_s`."""
        self._wait(
            lambda state: bool(state & EventState.PRESENT) and not state & EventState.MUTE,
            "no card was put into",
        )

    def wait_empty(self) -> None:
        """Return when no card is in it. Raises NotThere after `patience_s`."""
        self._wait(lambda state: bool(state & EventState.EMPTY), "the card was left in")

    def _wait(self, reached: Callable[[int], bool], otherwise: str) -> None:
        until = self.clock.monotonic_ns() + round(self.patience_s * _NS)
        context = Context()
        try:
            known = 0
            while self.clock.monotonic_ns() < until:
                seen = context.wait_reader(self.name, known, _LOOK_S)
                if seen is None:
                    continue
                known = seen[0]
                if reached(known):
                    return
        finally:
            context.close()
        raise NotThere(f"{otherwise} '{self.name}' for {self.patience_s:.0f} s")


def with_card_in(part_of_name: str, work: Callable[[CardChannel], T], clock: Clock) -> T:
    """Runs `work` on the card in the one reader whose name contains `part_of_name`.

    Raises NotThere or BadInput when no reader, or more than one, is meant; and the errors of
    `hardware`.
    """
    return DeskReader.meant(part_of_name, clock).with_card(work)


def _list(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names) or "none"
