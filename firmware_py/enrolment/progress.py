"""What enrolment waits for, as the glass says it: the steps, in plain words what to do. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from contract.enrolment import Refusal
from firmware_py.enrolment.network import Network
from firmware_py.glass.view import Enrolling, Screen, Step, Surroundings, View


class Need(StrEnum):
    """In the order in which they must be met."""

    FILE = "file"
    LINK = "link"
    ADDRESS = "address"
    NAME = "name"
    GATEWAY = "gateway"
    CLOCK = "clock"
    CERTIFICATE = "certificate"
    TOKEN = "token"  # noqa: S105 - a step's name


NEEDS: Final = tuple(Need)
NO_NETWORK: Final = Network(None, linked=False, addresses=())
HEADING: Final = "This terminal is being enrolled."
CODE: Final = "An operator lets it in: tapover terminal approve"

NO_FILE: Final = (
    "No enrolment file. Put the folder that `tapover terminal add` made on the boot partition."
)
NO_LINK: Final = "No network. Plug in the network cable."
NO_ADDRESS: Final = "The network gives no address. Give IT the MAC address below."
NO_NAME: Final = "The name {host} is not found. Ask IT for a DNS entry."
NO_GATEWAY: Final = "{host} does not answer. Ask IT whether the gateway runs and can be reached."
WRONG_SITE: Final = (
    "What answers at {host} is not the site that this terminal was prepared for. "
    "The token was not sent. Tell IT."
)
NO_CERTIFICATE: Final = "The gateway's certificate is not accepted ({why}). Tell IT."
CLOCK_BEHIND: Final = "Not set. The site sets it."
CLOCK_SAYS: Final = "{day} (UTC), as this machine believes."
BAD_FILE: Final = "The enrolment file cannot be read ({why}). Make it anew."
NO_DISK: Final = "This terminal cannot write ({why})."
OTHER_LETTERS: Final = "The gateway shows other letters for this terminal: somebody is in between."
ASKING: Final = "The gateway is asked."

_REFUSED: Final = {
    Refusal.TOKEN_UNKNOWN: "The gateway does not know this token.",
    Refusal.TOKEN_EXPIRED: "The token is too old.",
    Refusal.TOKEN_USED: "The token was used already.",
    Refusal.TERMINAL_UNKNOWN: "The gateway does not expect a terminal of this name. Tell IT.",
    Refusal.TERMINAL_RETIRED: "This terminal was retired. Tell IT.",
    Refusal.TOO_MANY: "The gateway is busy. This goes on by itself.",
    Refusal.STORE_FAILED: "The gateway cannot write. This goes on by itself.",
}
_ELSE: Final = "The gateway refuses this terminal. Tell IT."


def refused(reason: Refusal) -> str:
    """For the person in front of it; the number beside it finds the rest in docs/errors.md."""
    return _REFUSED.get(reason, _ELSE)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is. What comes before `at` is done, what comes after is for later."""

    terminal: str | None = None
    at: Need = Need.FILE
    words: str = ""
    code: str | None = None
    reference: str | None = None
    """The refusal's number."""
    network: Network = NO_NETWORK
    beside: tuple[tuple[Need, str], ...] = ()
    """Remarks on steps that are done."""

    def remarked(self, need: Need, words: str) -> Progress:
        """With a remark that stays beside a step."""
        kept = tuple(one for one in self.beside if one[0] is not need)
        return replace(self, beside=(*kept, (need, words)))

    def view(self) -> View:
        """As the glass shows it."""
        step = NEEDS.index(self.at)
        remarks = dict(self.beside)
        steps = tuple(
            Step(need.value, "done", remarks.get(need, ""))
            if index < step
            else Step(need.value, "waits", self.words)
            if index == step
            else Step(need.value, "later")
            for index, need in enumerate(NEEDS)
        )
        enrolling = Enrolling(
            self.terminal, steps, self.code, self.network.mac, self.network.addresses
        )
        return View(
            Screen.ENROLLING,
            self.words or HEADING,
            reference=self.reference,
            around=Surroundings(waits_for=(self.at.value,), enrolling=enrolling),
        )


def spelled(code: str) -> str:
    """`ABCD EFGH`, as a person reads it out."""
    return f"{code[:4]} {code[4:]}"
