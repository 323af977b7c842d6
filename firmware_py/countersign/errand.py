"""One countersign as it goes: what is asked, how far it has come, what the glass shows of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from contract.countersigning import CountersignEnded, CountersignResult
from contract.directory import Entitlement
from firmware_py.countersign import words as said
from firmware_py.countersign.values import Wanted
from firmware_py.inside import Panel
from firmware_py.signon.pad import Tapped

ASK_S: Final = 60
"""From the text to a card, and from the card to the PIN."""
READ_S: Final = 1.0
"""Nobody has read the text sooner."""
SAID_S: Final = 4.0
"""How long a refusal, or that it is done, stands."""
_S: Final = 1_000_000_000

Step = Literal["card", "pin", "signing", "done"]


@dataclass(slots=True, eq=False)
class Errand:
    """One at a time at a terminal. Monotonic ns."""

    wanted: Wanted
    shown_ns: int
    until_ns: int
    step: Step = "card"
    colleague: Entitlement | None = None
    tapped: Tapped | None = None
    words: str = said.READ_AND_TAP
    attempts: int | None = None
    refused_until_ns: int = 0
    reference: str | None = None

    @classmethod
    def begin(cls, wanted: Wanted, now_ns: int) -> Errand:
        """The text is on the glass."""
        return cls(wanted, now_ns, now_ns + ASK_S * _S)

    @property
    def waits(self) -> bool:
        """Whether somebody's card or PIN is waited for."""
        return self.step in ("card", "pin")

    def could_be_read(self, seen_ns: int) -> bool:
        """Whether a card that came then may have come for this."""
        return seen_ns >= self.shown_ns + round(READ_S * _S)

    def ask_pin(self, colleague: Entitlement, tapped: Tapped, now_ns: int) -> None:
        """A tap is not enough here."""
        self.step, self.words, self.attempts = "pin", said.PIN_IN_SLOT, None
        self.colleague, self.tapped = colleague, tapped
        self.until_ns = now_ns + ASK_S * _S

    def again(self, sentence: str, now_ns: int, reference: str | None = None) -> None:
        """From the start, with any card; why is said for a moment."""
        self.step, self.colleague, self.tapped, self.attempts = "card", None, None, None
        self.words, self.reference = sentence, reference
        self.refused_until_ns = now_ns + round(SAID_S * _S)

    def done(self, now_ns: int) -> None:
        """Signed, and durable."""
        self.step, self.words = "done", said.DONE
        self.until_ns = now_ns + round(SAID_S * _S)

    def panel(self, now_ns: int) -> Panel:
        """For the glass: the text as it was asked for, and what is waited for."""
        refused = self.step == "card" and now_ns < self.refused_until_ns
        step = "refused" if refused else "card" if self.step == "signing" else self.step
        signer = self.colleague if self.step in ("pin", "done") else None
        said_again = said.READ_AND_TAP if self.step == "card" and not refused else self.words
        return {
            "title": self.wanted.title,
            "text": self.wanted.text,
            "step": step,
            "left_s": max(0, -(-(self.until_ns - now_ns) // _S)) if self.waits else 0,
            "words": said_again,
            "attempts": self.attempts,
            "by": signer.name.initials if signer else None,
            "reference": self.reference if refused else None,
        }

    def ended(self, result: CountersignResult, record: int | None = None) -> CountersignEnded:
        """For the journal."""
        return CountersignEnded(
            session=self.wanted.session,
            result=result,
            text=self.wanted.digest,
            document=self.wanted.document,
            record=record,
        )
