"""One card in one reader, for a person at a desk: no watching, no deadline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from hardware.apdu import CardChannel
from hardware.pcsc import Context, PcscReaders
from hardware.readers import ReaderRules
from provisioning.errors import BadInput, NotThere
from runtime.clock import Clock

T = TypeVar("T")


def with_card_in(part_of_name: str, work: Callable[[CardChannel], T], clock: Clock) -> T:
    """Runs `work` on the card in the one reader whose name contains `part_of_name`.

    Raises NotThere or BadInput when no reader, or more than one, is meant; and the errors of
    `hardware`.
    """
    context = Context()
    try:
        names = context.list_readers()
    finally:
        context.close()
    meant = [name for name in names if part_of_name.lower() in name.lower()]
    if not meant:
        raise NotThere(f"no reader with '{part_of_name}' in its name; there are: {_list(names)}")
    if len(meant) > 1:
        raise BadInput(f"say which reader with --reader: {_list(meant)}")
    with PcscReaders(ReaderRules(), clock.monotonic_ns).connect(meant[0]) as card:
        return work(card)


def _list(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names) or "none"
