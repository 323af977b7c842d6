"""What an operator asks of the directory, signed as an operator's tool signs it."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from contract.directory import ChangeRequest, Entry, Terminal, TerminalState
from contract.ids import OperatorId, TerminalId, WardId
from contract.journal import join_lines
from contract.signing import Signer, VerifyKey, sha256
from tests.gateway.identities import SITE


def terminal_entry(
    terminal: str, key: VerifyKey, state: TerminalState = TerminalState.ACTIVE
) -> Terminal:
    return Terminal(
        terminal=TerminalId(terminal),
        ward=WardId("ed"),
        batch_key=key.to_base64(),
        state=state,
        salt=secrets.token_hex(16),
    )


def request(
    entries: Sequence[Entry], signer: Signer, operator: str = "ines", nonce: str | None = None
) -> bytes:
    lines = [entry.to_bytes() for entry in entries]
    envelope = ChangeRequest(
        site=SITE,
        operator=OperatorId(operator),
        nonce=nonce or secrets.token_hex(32),
        issued_ms=1_767_225_600_000,
        entries=tuple(sha256(line) for line in lines),
    ).seal(signer)
    return join_lines(envelope, lines)
