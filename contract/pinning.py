"""PINs in the journals: one that was changed, one that was proved without contact (DESIGN §4).

Never a digit of any, nor how many it has.
"""

from __future__ import annotations

from typing import Literal

from contract.ids import GuidField, HolderIdField
from contract.wire import Count, Part


class PinContactless(Part):
    """Terminal's journal: the PIN of a record was given over the air, as the ward's policy allows.

    Stands just before the outcome that says what it proved.
    """

    kind: Literal["pin.contactless"] = "pin.contactless"
    record: Count
    """Sequence of the pin or countersign record."""
    guid: GuidField


class PinChanged(Part):
    """Terminal's journal: a card got another PIN, by the one that it had."""

    kind: Literal["pin.changed"] = "pin.changed"
    record: Count | None
    """Sequence of the pin record that its 9A signed under the new PIN; null when it did not."""
    guid: GuidField
    holder: HolderIdField
    interface: Literal["contact", "contactless"]
    result: Literal["changed", "uncertain"]
    """`uncertain`: it was taken away, or failed, between the order and its proof."""
