"""A kept PUK opens for those it was sealed to, as what it was sealed as, and for nobody else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from contract.escrow import EscrowRefused as Refused
from contract.escrow import PukEscrow
from contract.ids import Guid
from contract.wire import WireError
from tests.contract.vectors.generate_escrow import SCALARS, VECTOR, key

GOLDEN: dict[str, Any] = json.loads(VECTOR.read_text())
ESCROW = PukEscrow.from_bytes(GOLDEN["record"].encode())


@pytest.mark.parametrize("name", SCALARS)
def test_each_recipient_opens_the_puk_that_was_sealed(name: str) -> None:
    assert ESCROW.open(key(name)).decode() == GOLDEN["puk"]


def test_the_record_is_read_back_as_it_was_written() -> None:
    assert ESCROW.to_bytes().decode() == GOLDEN["record"]


def test_nobody_else_opens_it_and_it_shows_no_digits() -> None:
    with pytest.raises(Refused, match="not sealed to this key"):
        ESCROW.open(ec.generate_private_key(ec.SECP256R1()))
    assert GOLDEN["puk"] not in GOLDEN["record"] + repr(ESCROW)


@pytest.mark.parametrize("changed", [{"guid": Guid("6b" * 16)}, {"generation": 4}])
def test_a_copy_does_not_pass_for_another_cards_or_an_older_one(changed: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="does not open"):
        ESCROW.model_copy(update=changed).open(key("gateway"))


def test_one_recipients_copy_does_not_pass_for_anothers() -> None:
    first, second = ESCROW.copies
    swapped = (first.model_copy(update={"sealed": second.sealed}), second)
    with pytest.raises(Refused, match="does not open"):
        ESCROW.model_copy(update={"copies": swapped}).open(key("authority"))


def test_what_is_no_puk_is_neither_sealed_nor_read() -> None:
    with pytest.raises(ValueError, match="8 bytes"):
        PukEscrow.seal(Guid("6a" * 16), 1, b"1234567", [key("gateway").public_key()])
    for wrong in ('"generation":0', '"copies":[]'):
        name = wrong.partition(":")[0]
        at = GOLDEN["record"].index(name)
        broken = GOLDEN["record"][:at] + wrong + "}"
        with pytest.raises(WireError):
            PukEscrow.from_bytes(broken.encode())
