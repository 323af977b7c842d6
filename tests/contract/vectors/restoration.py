"""Vectors of a log that goes on after a back-up."""

from __future__ import annotations

from contract.ids import Digest, SiteId
from contract.journal import Holds
from contract.restoration import Restoration, Restored
from contract.signing import Signer

_NOW = 1_767_225_600_000


def vectors(root: Signer) -> dict[str, bytes]:
    site, came_back = SiteId("st-elsewhere"), Holds(epoch=1, size=5, root=Digest("0a" * 32))
    declared = Restoration(
        site=site,
        root=root.public.to_base64(),
        epoch=2,
        log_epoch=2,
        restored=came_back,
        last=Holds(epoch=1, size=8, root=Digest("0b" * 32)),
        issued_ms=_NOW,
    )
    restored = Restored(site=site, log=came_back, directory_epoch=1, directory_n=3, taken_ms=_NOW)
    return {"restoration": declared.seal(root).to_bytes(), "restored": restored.to_bytes()}
