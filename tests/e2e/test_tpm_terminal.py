"""A terminal whose batch key is in a TPM: from its first boot to a tap that can be proven."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.ward.evidence import gather, wait_covered, wait_delivered
from benchmarks.ward.people import STAFF
from benchmarks.ward.site import Ward
from tests.e2e.asking import RECOVERY_S
from tests.firmware.swtpm import Swtpm

pytestmark = pytest.mark.timeout(120)


def test_batches_signed_in_a_tpm_are_proven_to_an_auditor(short_tmp: Path) -> None:
    with Swtpm(short_tmp / "tpm") as tpm:
        settings = {"keys": "tpm", "tpm": tpm.tcti}
        made = Ward(short_tmp / "ward", (), STAFF[:1], blank=("bay-1",), settings=settings)
        with made as ward:
            bay = ward["bay-1"]
            ward.unpack("bay-1")
            bay.start()
            bay.glass.wait(
                lambda view: view["screen"] == "locked" and view["link"] == "online",
                timeout_s=RECOVERY_S,
            )
            assert b"TSS2 PRIVATE KEY" in (bay.identity / "batch.key.pem").read_bytes()
            bay.sign_on_with_pin(ward.member("h-amal"))
            wait_delivered(ward)
            wait_covered(ward)
            print(bay.footprint())
            evidence = gather(ward, short_tmp / "export")
    assert evidence.verified, evidence.words
    assert (evidence.lost, evidence.duplicated, evidence.unproven) == (0, 0, 0)
