"""One root follows another by its own word, and by nobody else's."""

from __future__ import annotations

import pytest

from tests.verify.maker import Site
from tests.verify.signers import P256, Fields, Signer, b64
from tests.verify.story import Auditor, open_ward


def succeeded(of: Site, signer: Signer | None = None, **lies: object) -> None:
    """The root declares another one, which signs the keys from then on."""
    old, new = of.root, P256()
    payload: Fields = {
        "type": "tapover/root-succession/v1",
        "site": of.name,
        "root": b64(old.spki),
        "next": b64(new.spki),
        "epoch": of.epoch + 1,
        "issued_ms": of.now_ms,
    }
    of.add("root-succession", payload | lies, signer or old)
    of.root = new
    of.keys()


def test_a_root_that_the_one_before_declared_goes_on_with_the_log(auditor: Auditor) -> None:
    ward = open_ward()
    first = ward.site.fingerprint
    for _ in range(2):
        succeeded(ward.site)
    ward.terminal.batch()
    export = ward.site.write(auditor.folder / "export")
    verdict = auditor.run(str(export), "--root", first)
    assert verdict.exit == 0, verdict.said
    assert "2 changes of the root" in verdict.said


@pytest.mark.parametrize("who", ["nobody", "somebody", "for another site", "naming somebody"])
def test_a_root_that_the_one_before_did_not_declare_is_refused(auditor: Auditor, who: str) -> None:
    ward, somebody = open_ward(), P256()
    first = ward.site.fingerprint
    match who:
        case "nobody":
            ward.site.root = somebody
            ward.site.keys()
        case "somebody":
            succeeded(ward.site, somebody)
        case "naming somebody":
            succeeded(ward.site, somebody, root=b64(somebody.spki))
        case _:
            succeeded(ward.site, site="south")
    export = ward.site.write(auditor.folder / "export")
    assert auditor.run(str(export), "--root", first).exit == 1
