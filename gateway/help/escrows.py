"""PUKs in safe keeping: deposited by an operator, given back where one was replaced at night.

- A deposit is believed by the operator's signature; each escrow must open here. A newer generation
  replaces what stands, doubt and all: the desk has had the card in its reader.
- What the gateway put in a PUK's place goes back behind the release that it signed, so that the
  authority takes it over from a signed record (`provisioning.cards.puks`).
"""

from __future__ import annotations

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from contract.escrow import EscrowRefused, PukEscrow
from contract.governing import Denial
from contract.journal import require_bodies, split_lines
from contract.puk import MAX_ESCROWS_BYTES, Escrows
from contract.signing import Envelope, SignatureRefused
from contract.wire import WireError, decode_base64
from gateway.authority import Authority
from gateway.directory.requests import Operator, RequestRefused, require_own
from gateway.directory.source import Directory, digest_of
from gateway.evidence.journal import Moment
from gateway.evidence.keeping import Evidence
from gateway.store import EscrowRow, Store


class Deposits:
    """Methods block: call them in a worker thread."""

    def __init__(
        self,
        store: Store,
        evidence: Evidence,
        directory: Directory,
        authority: Authority,
        key: ec.EllipticCurvePrivateKey | None,
    ) -> None:
        self._store = store
        self._evidence = evidence
        self._directory = directory
        self._site = authority.site
        self._key = key

    def take(self, message: bytes, operator: Operator, now: Moment) -> int:
        """How many of them are new here. Raises RequestRefused, StoreFailed."""
        with self._directory.denying(digest_of(message), operator, now):
            said, escrows, envelope = self._opened(message, operator)
            authority = decode_base64(said.authority)
            _require_p256(authority)
            taken = 0
            with self._evidence.log.appending() as work:
                if work.tx.log.has_statement(envelope.digest):
                    return 0
                for escrow in escrows:
                    row = work.tx.help.escrow(escrow.guid)
                    if row is None or escrow.generation > row.present.generation:
                        work.tx.help.put_escrow(EscrowRow(escrow.guid, authority, escrow))
                        taken += 1
                work.add_statement(envelope)
        return taken

    def replaced(self) -> tuple[list[bytes], list[bytes]]:
        """The signed releases by which PUKs were replaced; then those that nobody reported."""
        with self._store.read() as tx:
            rows = tx.help.escrows()
            held = [tx.help.release_of(row.guid, row.present.to_bytes()) for row in rows]
            next_ones = [(row.guid, row.wanted.to_bytes()) for row in rows if row.wanted]
            doubtful = [tx.help.release_of(*each) for each in next_ones]
        return [one for one in held if one], [one for one in doubtful if one]

    def _opened(
        self, message: bytes, operator: Operator
    ) -> tuple[Escrows, list[PukEscrow], Envelope]:
        try:
            envelope, lines = split_lines(message, MAX_ESCROWS_BYTES)
            said = Escrows.open(envelope, operator.key)
            require_bodies(lines, said.escrows, PukEscrow.CAP)
            escrows = [PukEscrow.from_bytes(line) for line in lines]
        except WireError as error:
            raise RequestRefused(str(error), Denial.MALFORMED) from error
        except SignatureRefused as error:
            raise RequestRefused(str(error), Denial.NOT_BELIEVED) from error
        require_own(said.site, said.operator, self._site, operator)
        if self._key is None:
            raise RequestRefused("this gateway has no key for PUKs (puk.key.pem)")
        for escrow in escrows:
            try:
                escrow.open(self._key)
            except EscrowRefused as error:
                raise RequestRefused(f"card {escrow.guid}: {error}") from error
        return said, escrows, envelope


def _require_p256(der: bytes) -> None:
    try:
        key = serialization.load_der_public_key(der)
    except ValueError as error:
        raise RequestRefused("the authority's key is none", Denial.MALFORMED) from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise RequestRefused("the authority's key is not P-256", Denial.MALFORMED)
