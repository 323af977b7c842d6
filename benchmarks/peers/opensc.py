"""OpenSC, on which most peers stand: its module, and its configuration at its quickest."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from benchmarks.ward.processes import PartMissing

_MODULES: Final = (
    *Path("/usr/lib").glob("*/opensc-pkcs11.so"),
    Path("/usr/lib/opensc-pkcs11.so"),
)

QUICKEST: Final = (
    "opensc.conf(5) with use_file_caching = public (certificates are read once, ever) and "
    "card_drivers = PIV-II (no other card is tried)"
)


def module() -> str:
    """The PKCS#11 module's path. Raises PartMissing."""
    for path in _MODULES:
        if path.exists():
            return str(path)
    raise PartMissing("opensc-pkcs11.so", "opensc-pkcs11")


def quickest(home: Path) -> dict[str, str]:
    """The environment that makes OpenSC as quick as its manual allows; its cache is in ``home``."""
    conf = home / "opensc.conf"
    conf.write_text(
        "app default {\n"
        "    card_drivers = PIV-II;\n"
        "    framework pkcs15 {\n"
        "        use_file_caching = public;\n"
        f"        file_cache_dir = {home / 'cache'};\n"
        "    }\n"
        "}\n"
    )
    return {"OPENSC_CONF": str(conf), "HOME": str(home)}
