"""pam_p11: OpenSC's small PAM module, by a certificate in the user's home."""

from __future__ import annotations

from typing import ClassVar

from benchmarks.peers import opensc
from benchmarks.peers.pam import PamPeer


class InstalledPamP11(PamPeer):
    """As its README sets it up."""

    name: ClassVar = "pam_p11, OpenSC as installed"
    package: ClassVar = "libpam-p11"
    about: ClassVar = "~/.eid/authorized_certificates, as its README has it; OpenSC as installed"

    def rule(self) -> str:
        return f"pam_p11.so {opensc.module()}"


class PamP11(InstalledPamP11):
    """On OpenSC at its quickest."""

    name: ClassVar = "pam_p11"
    about: ClassVar = f"~/.eid/authorized_certificates, as its README has it; {opensc.QUICKEST}"

    def settings(self) -> dict[str, str]:
        return opensc.quickest(self.home)
