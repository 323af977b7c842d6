"""What each person can do after the ward lost its power: asked at real terminals, card by card.

`docs/power-cycled.md` is printed from what was seen; `test_power_cycled.py` fails when they differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from benchmarks.ward.people import Member
from benchmarks.ward.site import Ward
from benchmarks.ward.terminals import WardTerminal, is_open_for
from tests.e2e.asking import Mark, tap

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "power-cycled.md"
SLOT_ONCE: Final = "Put your card in the slot once, then tap for the rest of the shift."
_ANSWERS: Final = frozenset({"open", "pin", "notice", "refused", "offer"})

TAP: Final = "a tap opens"
SLOT: Final = "card in the slot once, with PIN; then a tap is enough"
EACH: Final = "card in the slot, with PIN, at each tap; marked “clock not confirmed”"


ROWS: Final[Mapping[str, str]] = {
    "warm": "worked at this terminal when the power went, her PIN proved there",
    "elsewhere": "worked at another terminal, never at this one",
    "owed": "has not given her PIN today",
    "lead": "leads the ward",
    "suspended": "her card was suspended before the cut",
    "unknown": "a card that the directory does not know",
    "emergency": "whoever has a good card and cannot give a PIN, by break-glass",
    "downtime": "two people of the roles that the policy names, to declare downtime",
}
"""By key, in the page's order: who asks."""


def ask(ward: Ward, bay: WardTerminal, member: Member) -> str:
    """What a person can do here with her card, in words: tapped, and with her PIN where that helps.

    Leaves the screen locked. Raises NotReady.
    """
    _clear(bay)
    at = Mark.now(ward, bay)
    first = tap(ward, bay, member, lambda view: view["screen"] in _ANSWERS)
    if is_open_for(first.view, member):
        return _then(bay, TAP)
    if first.screen in ("notice", "pin"):
        assert first.words == SLOT_ONCE or first.screen == "pin", first.words
        bay.glass.post("cancel")
        bay.sign_on_with_pin(member)
        return _then(bay, _once_or_each(ward, bay, member))
    said = {one["reason"] for one in at.since("card.outcome") if one["reason"]}
    what = "break-glass is offered" if first.screen == "offer" else "nothing"
    return _then(bay, f"{what}: “{first.words}” ({', '.join(sorted(said))})")


def break_the_glass(ward: Ward, bay: WardTerminal, member: Member, reason: str) -> str:
    """What break-glass gives to somebody with a good card, in words. Leaves the screen locked."""
    _clear(bay)
    tap(ward, bay, member, lambda view: view["screen"] in _ANSWERS)
    latest = bay.glass.latest
    assert latest is not None
    panel = latest.view["panels"].get("breakglass") or {}
    if not panel.get("offered"):
        return _then(bay, "not offered")
    mark = bay.glass.mark()
    bay.glass.post("breakglass", reason=reason)
    opened = bay.glass.wait(lambda view: bool(_active(view)), mark)
    named = not opened.view["panels"]["breakglass"]["unidentified"]
    words = "the ward's emergency position, " + ("in her name" if named else "in nobody's name")
    return _then(bay, words)


def _active(view: Mapping[str, Any]) -> object:
    return (view["panels"].get("breakglass") or {}).get("active")


def declare(bay: WardTerminal) -> str:
    """Whether downtime can be declared here now, in words."""
    _clear(bay)
    latest = bay.glass.latest
    assert latest is not None
    state = (latest.view["panels"].get("downtime") or {}).get("state", "off")
    return {"off": "not yet", "offered": "can be declared"}[state]


def _once_or_each(ward: Ward, bay: WardTerminal, member: Member) -> str:
    """Whether a tap alone is enough, now that her PIN was proved."""
    _clear(bay)
    again = tap(ward, bay, member, lambda view: view["screen"] in _ANSWERS)
    if is_open_for(again.view, member):
        return SLOT
    assert again.view["clock"] == "unconfirmed", again.view
    return EACH


def _clear(bay: WardTerminal) -> None:
    """Nobody's work is on the glass, and no pad."""
    for command in ("cancel", "activity", "lock"):
        bay.glass.post(command)
    bay.glass.wait(lambda view: view["screen"] in ("locked", "waiting"), _before(bay))


def _then(bay: WardTerminal, words: str) -> str:
    _clear(bay)
    return words


def _before(bay: WardTerminal) -> int:
    return max(0, bay.glass.mark() - 1)


Cells = dict[tuple[str, str], str]
"""By row and column."""


def page(columns: Iterable[tuple[str, str]], cells: Cells) -> str:
    """The page: `columns` are keys with their headings."""
    columns = list(columns)
    lines = [_HEAD]
    lines.append(f"| | {' | '.join(heading for _, heading in columns)} |")
    lines.append("|---" * (len(columns) + 1) + "|")
    for row, words in ROWS.items():
        found = [cells.get((row, column), "") for column, _ in columns]
        if any(found):
            lines.append(f"| {words} | {' | '.join(found)} |")
    return "\n".join([*lines, _TAIL])


_HEAD: Final = """\
# When the whole ward has lost its power

Every terminal of a ward is switched off at once and comes back, and neither the gateway nor the
broker is there. What each person can then do is asked at real terminals, card by card, by
`tests/e2e/test_power_cycled.py`, which prints this page and fails when it says something else.

A terminal *with a clock chip* is one whose chip was right while it was online; the others cannot
know how long the power was away. Both remember the directory, and who is suspended in it. No grace
outlives a start: nobody is signed on by a tap that her PIN does not stand behind.
"""
_TAIL: Final = """
What stands in brackets is the reason in the journal; the glass never says it. What is done after
such a start is journalled with its clock (`rtc`, or `unconfirmed`), and delivered when the gateway
is back: then the clock is the site's again, unasked, and a tap is enough where a PIN was proved.

The bounds are the ward's policy: `offline_limit_s` (4 h unless the ward says otherwise) where the
clock is known, `offline_boot` and `offline_boot_s` (powered time) where it is not.
"""


def differs(text: str) -> str:
    """Writes the page where it differs; what to say of it, empty when it is as it was."""
    before = PAGE.read_text() if PAGE.exists() else ""
    if before == text:
        return ""
    PAGE.write_text(text)
    return f"{PAGE.name} said something else; it is written anew: look at what changed, and keep it"
