"""The information page's words, and the ward's night."""

from __future__ import annotations

import string
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.ids import PositionId, TerminalId, Version
from contract.policy import (
    BreakGlass,
    Downtime,
    GraceScope,
    NameForm,
    Night,
    OfflineBoot,
    Policy,
    RoleGrace,
    Sound,
    TapOut,
)
from firmware_py.kiosk import info_words as words
from firmware_py.kiosk.info import info, lasts, rules
from firmware_py.kiosk.night import Nights, within
from firmware_py.sessions.moves import waits
from firmware_py.sessions.values import Mode
from firmware_py.trust.here import Place, default_policy
from runtime.clock import ZoneUnknown
from tests.firmware.rights import TERMINAL, policy, terminal

GLASS = BreakGlass(
    allowed=True,
    position=PositionId("resus-emergency"),
    reasons=("E1",),
    limit_s=1800,
    without_card=(TERMINAL,),
)


def said(asked: Policy, unread: str = "") -> list[str]:
    return list(rules(Place(Version(1, 1), terminal(), asked, unread), TERMINAL))


def test_a_ward_that_chose_everything_is_told_everything() -> None:
    told = said(
        policy(
            grace_s=3600,
            grace_scope=GraceScope.WARD,
            grace_approved_by="h-elena",
            grace_by_role=(RoleGrace(role="R8000", grace_s=900),),
            pin_contactless=True,
            roles=("R8000", "R8001"),
            shift_s=0,
            tap_out=TapOut.CLOSE,
            idle_dim_s=60,
            idle_lock_s=90,
            parked_max=0,
            hold_s=1800,
            offline_limit_s=0,
            offline_boot=OfflineBoot.REFUSE,
            break_glass=GLASS,
            downtime=Downtime(roles=("R8001",)),
            name_form=NameForm.INITIALS,
            night=Night(begins_min=22 * 60, ends_min=6 * 60 + 30),
            sound=Sound.SOFT,
        )
    )
    assert told == [
        "After your PIN, a tap alone is enough on the whole ward for 1 h.",
        "For some roles and positions that time is shorter, down to 15 min.",
        words.PIN_TAP,
        "Only these roles may sign on here: R8000, R8001.",
        words.SHIFT_NONE,
        words.TAP_CLOSES,
        "Without a touch, the screen dims after 1 min and locks after 1 min 30 s.",
        "Before it locks it warns you for 20 s.",
        words.PARKED_NONE,
        "A card left in a reader is announced after 1 min; 2 min later its session locks.",
        words.HOLD.format(time="30 min"),
        words.OFFLINE_NONE,
        words.BOOT_REFUSED,
        "In an emergency, break-glass opens the ward's own position for 30 min.",
        words.BREAK_GLASS_CARDLESS,
        "When the network stays away, two people can declare downtime, for 12 h.",
        words.NAME_INITIALS,
        "From 22:00 to 06:30 the screen is dim and silent.",
        words.SOUND_SOFT,
    ]


def test_the_page_says_when_the_screen_really_dims() -> None:
    """A warning comes before a later dim: what is said is what `sessions` does."""
    late = policy(idle_dim_s=110, idle_lock_s=120, idle_warn_s=30)
    assert dict(waits(late))[Mode.DIMMED] == 90_000
    told = "Without a touch, the screen dims after 1 min 30 s and locks after 2 min."
    assert told in said(late)


def test_by_the_defaults_it_is_told_too() -> None:
    told = said(default_policy())
    assert "After your PIN, a tap alone is enough at this screen for 4 h." in told
    assert words.BREAK_GLASS_NONE in told
    assert words.SOUND_OFF in told
    assert not any("{" in line for line in told)


def test_rules_that_cannot_be_read_are_said_to_be_none_of_the_wards() -> None:
    assert said(default_policy(), "Policy: idle_lock_s")[0] == words.UNREAD
    nowhere = Place(None, None, default_policy())
    assert list(rules(nowhere, TERMINAL)) == [words.NO_RULES]


def test_the_page_names_nobody_and_carries_the_checkpoint_as_it_was_signed() -> None:
    place = Place(Version(2, 7), terminal(), policy())
    told = info(place, TERMINAL, software="1.2.3", note="tapover\n7\nroot\n", support="IT, 4321")
    assert (told["terminal"], told["ward"], told["software"]) == ("resus-1", "resus", "1.2.3")
    assert (told["support"], told["directory"]) == ("IT, 4321", "2.7")
    assert told["checkpoint"] == "tapover\n7\nroot\n"
    assert told["recorded"] == list(words.RECORDED)
    bare = info(
        Place(None, None, default_policy()), TerminalId("t"), software="1", note=None, support=""
    )
    assert (bare["ward"], bare["checkpoint"], bare["support"]) == (None, None, None)


def test_every_place_in_a_sentence_is_one_that_any_language_can_fill() -> None:
    places = {"time", "dim", "lock", "cap", "n", "roles", "begins", "ends"}
    for name, sentence in vars(words).items():
        if name.isupper() and isinstance(sentence, str):
            found = {field for _, field, _, _ in string.Formatter().parse(sentence) if field}
            assert found <= places, name


@pytest.mark.parametrize(
    ("seconds", "words_"),
    [(0, "0 s"), (20, "20 s"), (90, "1 min 30 s"), (3600, "1 h"), (5400, "1 h 30 min")],
)
def test_durations_are_written_with_symbols(seconds: int, words_: str) -> None:
    assert lasts(seconds) == words_


# ---- night -----------------------------------------------------------------------------------


def unix_ms(*moment: int) -> int:
    return int(datetime(*moment, tzinfo=UTC).timestamp() * 1000)  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(
    ("zone", "moment", "is_night"),
    [
        ("UTC", (2026, 1, 10, 21, 59), False),
        ("UTC", (2026, 1, 10, 22, 0), True),
        ("UTC", (2026, 1, 11, 5, 59), True),
        ("UTC", (2026, 1, 11, 6, 0), False),
        ("Europe/London", (2026, 7, 10, 21, 0), True),  # 22:00 by the summer's clock
        ("Europe/London", (2026, 7, 11, 5, 0), False),
        ("Europe/London", (2026, 1, 10, 21, 30), False),
        ("Asia/Kolkata", (2026, 1, 10, 16, 30), True),
    ],
)
def test_night_goes_by_the_wards_own_day(
    zone: str, moment: tuple[int, ...], *, is_night: bool
) -> None:
    night = Night(begins_min=22 * 60, ends_min=6 * 60)
    assert Nights(zone).is_night(night, unix_ms(*moment)) is is_night
    assert not Nights(zone).is_night(None, unix_ms(*moment))


def test_a_zone_that_there_is_not_is_refused() -> None:
    for name in ("Europe/Nowhere", "../etc/passwd", "\x00"):
        with pytest.raises(ZoneUnknown):
            Nights(name)


_MINUTE = st.integers(0, 24 * 60 - 1)


@given(_MINUTE, _MINUTE, _MINUTE)
def test_each_minute_is_in_the_night_or_in_the_day_after_it(
    begins: int, ends: int, minute: int
) -> None:
    night, day = Night(begins_min=begins, ends_min=ends), Night(begins_min=ends, ends_min=begins)
    if begins == ends:
        assert not within(night, minute)
    else:
        assert within(night, minute) is not within(day, minute)
