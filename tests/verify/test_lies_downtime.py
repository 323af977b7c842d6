"""Downtime in the log: the site's statements, and what cards sign when two people declare it."""

from __future__ import annotations

import pytest

from tests.verify.signers import P256
from tests.verify.story import Auditor, Ward, open_ward


@pytest.fixture
def ward() -> Ward:
    """Open, with a heartbeat held: ready for the first card."""
    ward = open_ward()
    ward.terminal.hold()
    return ward


STATEMENT = {"type": "tapover/downtime/v1", "ward": "ed", "begins_ms": 1, "until_ms": 2}


def test_a_statement_of_the_sites_is_counted(auditor: Auditor, ward: Ward) -> None:
    ward.site.add("downtime", dict(STATEMENT), ward.site.statement)
    ward.terminal.batch()
    assert "1 statement of the site: a ward may go on alone" in auditor.accepts(ward.site)


def test_one_that_the_site_did_not_sign_is_refused(auditor: Auditor, ward: Ward) -> None:
    ward.site.add("downtime", dict(STATEMENT), P256())
    ward.terminal.batch()
    auditor.refuses(ward.site, "a downtime that names another key")


def test_what_declares_downtime_is_signed_by_the_key_that_needs_a_pin(
    auditor: Auditor, ward: Ward
) -> None:
    record = ward.terminal.record(ward.vogel, "downtime")
    ward.terminal.outcome(ward.vogel, record, "proved", pin=True)
    ward.terminal.batch()
    assert "1 downtime declaration, each signed by" in auditor.accepts(ward.site)


def test_the_key_for_taps_declares_nothing(auditor: Auditor, ward: Ward) -> None:
    record = ward.terminal.record(ward.vogel, "downtime")
    ward.terminal.outcome(ward.vogel, record, "proved")
    ward.terminal.batch()
    auditor.refuses(ward.site, "a key that was not this card's")


@pytest.mark.parametrize("result", ["opened", "resumed", "still-you", "joined", "countersigned"])
def test_a_declaration_serves_for_nothing_else(auditor: Auditor, ward: Ward, result: str) -> None:
    record = ward.terminal.record(ward.vogel, "downtime")
    ward.terminal.outcome(ward.vogel, record, result, pin=True)
    ward.terminal.batch()
    auditor.refuses(ward.site, "a countersign that served")
