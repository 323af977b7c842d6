"""`python -m firmware_py.enrolment`: the terminal's helper for a later certificate.

Started by the daemon alone (`firmware_py.site.renewing`): a ticket on stdin, what it comes to on
stdout, and its life is the daemon's.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import Final

from contract.wire import WireError
from firmware_py.enrolment.renewal import Helper, Said, Ticket
from firmware_py.site.keystore import FileKeys, KeyStore

_PIECE: Final = 1024


def main() -> None:
    """One try."""
    os.umask(0o077)
    try:
        ticket = Ticket.from_bytes(sys.stdin.buffer.readline(Ticket.CAP))
    except WireError as error:
        sys.exit(f"no ticket: {error}")
    threading.Thread(target=_end_with_the_terminal, daemon=True).start()
    keys: KeyStore = FileKeys()
    if ticket.tpm:
        from firmware_py.site.tpm import TpmKeys  # noqa: PLC0415 - where there is one

        keys = TpmKeys(ticket.tpm)
    Helper(ticket, keys, _say).run()


def _say(said: Said) -> None:
    sys.stdout.write(said.model_dump_json() + "\n")
    sys.stdout.flush()


def _end_with_the_terminal() -> None:
    # Not by `sys.stdin`: its lock would be missed when the program ends in the ordinary way.
    while os.read(sys.stdin.fileno(), _PIECE):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
