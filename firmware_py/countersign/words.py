"""What the glass says while a second person is asked."""

from __future__ import annotations

from typing import Final

READ_AND_TAP: Final = "A second person: read this, then tap your card to countersign."
PIN_IN_SLOT: Final = "Put your card in the slot and enter your PIN."
ANOTHER_PERSON: Final = "Another person must countersign."
DONE: Final = "Countersigned."
