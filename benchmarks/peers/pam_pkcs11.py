"""pam_pkcs11: the PAM module that desktops sign on with, by a certificate in the user's home."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Final

from benchmarks.peers import opensc
from benchmarks.peers.pam import PamPeer
from benchmarks.ward.processes import PartMissing

_POLICY: Final = "cert_policy = signature (no chain, no revocation list: the quickest that proves)"


class InstalledPamPkcs11(PamPeer):
    """With the least of checks that still proves the key."""

    name: ClassVar = "pam_pkcs11, OpenSC as installed"
    package: ClassVar = "libpam-pkcs11"
    about: ClassVar = f"{_POLICY}, mapper opensc; OpenSC as installed"

    def rule(self) -> str:
        conf = self.home / "pam_pkcs11.conf"
        conf.write_text(
            "pam_pkcs11 {\n"
            "  nullok = false; debug = false; card_only = false; wait_for_card = false;\n"
            "  use_first_pass = false; try_first_pass = false;\n"
            "  use_pkcs11_module = opensc;\n"
            f'  pkcs11_module opensc {{ module = {opensc.module()}; description = "OpenSC";\n'
            '    slot_description = "none"; support_threads = false; cert_policy = signature; }\n'
            "  use_mappers = opensc;\n"
            f"  mapper opensc {{ debug = false; module = {_mapper()}; }}\n"
            "}\n"
        )
        return f"pam_pkcs11.so quiet config_file={conf}"


class PamPkcs11(InstalledPamPkcs11):
    """On OpenSC at its quickest."""

    name: ClassVar = "pam_pkcs11"
    about: ClassVar = f"{_POLICY}, mapper opensc; {opensc.QUICKEST}"

    def settings(self) -> dict[str, str]:
        return opensc.quickest(self.home)


def _mapper() -> str:
    for folder in ("/lib", "/usr/lib"):
        for path in Path(folder).glob("*/pam_pkcs11/opensc_mapper.so"):
            return str(path)
    raise PartMissing("pam_pkcs11", "libpam-pkcs11")
