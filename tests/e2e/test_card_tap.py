"""The story of one tap, on real parts, from the card to the auditor."""

from __future__ import annotations

from pathlib import Path

from benchmarks.ward.evidence import events, gather, signatures, taps, wait_covered, wait_delivered
from benchmarks.ward.site import Ward
from benchmarks.ward.terminals import is_open_for


def test_a_nurse_taps_her_card_and_an_auditor_can_prove_it(ward: Ward, short_tmp: Path) -> None:
    amal, bronwen, bay = ward.member("h-amal"), ward.member("h-bronwen"), ward["bay-1"]

    # At the start of the shift each puts her card into the slot and types her PIN, once.
    bay.sign_on_with_pin(amal)
    bay.sign_on_with_pin(bronwen)

    # From now on a tap is enough. Amal's work was parked; she taps over Bronwen's and is back.
    mark = bay.glass.mark()
    bay.tap(amal)
    opened = bay.glass.wait(lambda view: is_open_for(view, amal), mark)
    shown = [seen.screen for seen in bay.glass.since(mark)]
    assert shown.index("checking") < shown.index("open")
    assert opened.view["role"] == "Nurse"

    # The gateway holds it all; the auditor's program proves it, by the cardholder's own key.
    wait_delivered(ward)
    wait_covered(ward)
    evidence = gather(ward, short_tmp / "export")
    assert evidence.verified, evidence.words
    assert (evidence.lost, evidence.duplicated, evidence.unproven) == (0, 0, 0)
    signed = [tap["detail"]["signature"] for tap in taps(short_tmp / "export")]
    assert len(signed) == len(set(signed)) == len(signatures(ward)) - OTHERS
    assert {e["terminal"] for e in events(short_tmp / "export")} >= {"bay-1", "gateway"}


OTHERS = 5 * 2 + 2
"""Five cards proved two keys each when they were made; two showed before the pad who they were."""
