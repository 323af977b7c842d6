"""The sentences about work that is elsewhere, in the manner of `firmware_py.glass.words`."""

from __future__ import annotations

from typing import Final

UNSAVED: Final = "Work that is not saved is still at {where}."
KEPT: Final = "You have other work at {where}. Tap there to go on with it."
NEWER: Final = "Newer work of yours may be at {where}, which does not answer."
