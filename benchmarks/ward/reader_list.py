"""Print, as JSON, the readers that a PC/SC service offers: what its clients see.

Run as ``python -I -S reader_list.py`` with PCSCLITE_CSOCK_NAME set; imports nothing of ours. A
process of its own, because libpcsclite reads that variable once a process, and by ctypes, so that
the ward does not judge the product's PC/SC adapter by that adapter.
"""

from __future__ import annotations

import ctypes
import json
import sys
from typing import Final

_SCOPE_SYSTEM: Final = 2
_SUCCESS: Final = 0
_NO_READERS: Final = 0x8010002E
_CAP: Final = 16 * 128 + 1  # pcsc-lite: at most 16 readers, names of at most 128 bytes


def main() -> None:
    """List the readers; the exit status is 1 if the service does not answer."""
    library = ctypes.CDLL("libpcsclite.so.1")
    context = ctypes.c_long()
    answer = library.SCardEstablishContext(_SCOPE_SYSTEM, None, None, ctypes.byref(context))
    if answer != _SUCCESS:
        sys.exit(f"SCardEstablishContext: 0x{answer & 0xFFFFFFFF:08X}")
    names, length = ctypes.create_string_buffer(_CAP), ctypes.c_ulong(_CAP)
    answer = library.SCardListReaders(context, None, names, ctypes.byref(length))
    if answer & 0xFFFFFFFF not in {_SUCCESS, _NO_READERS}:
        sys.exit(f"SCardListReaders: 0x{answer & 0xFFFFFFFF:08X}")
    found = names.raw[: length.value] if answer == _SUCCESS else b""
    print(json.dumps([name.decode() for name in found.split(b"\0") if name]))
    library.SCardReleaseContext(context)


main()
