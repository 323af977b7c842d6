"""Vectors of what the root declares: one that follows it, a log that goes on from a back-up."""

from __future__ import annotations

from contract.ids import SiteId
from contract.signing import Signer
from contract.succession import RootSuccession
from tests.contract.vectors import restoration


def vectors(root: Signer, following: Signer) -> dict[str, bytes]:
    """`following` has another use in the vectors too: as a root it signs nothing."""
    declared = RootSuccession(
        site=SiteId("st-elsewhere"),
        root=root.public.to_base64(),
        next=following.public.to_base64(),
        epoch=2,
        issued_ms=1_767_225_600_000,
    )
    return {"root-succession": declared.seal(root).to_bytes(), **restoration.vectors(root)}
