"""Another position and a held screen in the log: what rests on which tap, and what cannot."""

from __future__ import annotations

import pytest

from tests.verify.maker import Journal
from tests.verify.story import Auditor, Ward, open_ward


@pytest.fixture
def ward() -> Ward:
    """Open; Vogel has tapped, and her work is on the glass."""
    ward = open_ward()
    ward.terminal.hold()
    ward.terminal.tap(ward.vogel)
    return ward


def hers(terminal: Journal) -> str:
    """The session that the newest tap opened."""
    return f"s-{terminal.id[:6]}-{terminal.sessions - 1}"


def moves(terminal: Journal, ward: Ward, *, parked: str = "position", who: str = "h-vogel") -> None:
    """Her session gives way, and `who` goes on in another."""
    terminal.session(ward.vogel, "parked", cause=parked, session=hers(terminal))
    terminal.session(
        ward.vogel, "opened", session="77" * 16, position="lead", cause="position", holder=who
    )


def test_another_position_of_ones_own_rests_on_the_tap_before_it(
    auditor: Auditor, ward: Ward
) -> None:
    moves(ward.terminal, ward)
    ward.terminal.batch()
    auditor.accepts(ward.site)


def test_nobody_else_goes_on_where_somebody_left_her_position(auditor: Auditor, ward: Ward) -> None:
    moves(ward.terminal, ward, who="h-other")
    ward.terminal.batch()
    auditor.refuses(ward.site, "without a card outcome of its own")


def test_a_session_that_was_parked_otherwise_leads_to_no_other_position(
    auditor: Auditor, ward: Ward
) -> None:
    moves(ward.terminal, ward, parked="idle")
    ward.terminal.batch()
    auditor.refuses(ward.site, "without a card outcome of its own")


def test_whoever_was_locked_meanwhile_goes_on_by_a_tap_alone(auditor: Auditor, ward: Ward) -> None:
    ward.terminal.session(ward.vogel, "locked", cause="idle", session=hers(ward.terminal))
    moves(ward.terminal, ward)
    ward.terminal.batch()
    auditor.refuses(ward.site, "without a card outcome of its own")


def test_nobody_joins_a_held_screen_without_her_card(auditor: Auditor, ward: Ward) -> None:
    record = ward.terminal.record(ward.vogel)
    ward.terminal.outcome(ward.vogel, record, "joined", reason="shared", signature=None)
    ward.terminal.batch()
    auditor.refuses(ward.site, "'joined' without a card's signature")


def test_who_joined_is_proven_by_her_own_card(auditor: Auditor, ward: Ward) -> None:
    record = ward.terminal.record(ward.vogel)
    ward.terminal.outcome(ward.vogel, record, "joined", reason="shared", shared=True)
    ward.terminal.batch()
    assert "2 taps" in auditor.accepts(ward.site)
