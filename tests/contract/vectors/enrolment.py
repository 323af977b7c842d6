"""The vectors of enrolment: grant, order, answers, boot file, and the gateway's events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from contract import enrolment as wire
from contract import events
from contract.certificates import Subject
from contract.ids import Digest, OperatorId, SiteId, TerminalId, WardId
from contract.signing import Envelope, Signer, sha256
from contract.tap import DirectoryVersion
from contract.wire import encode_base64

SITE, INES, BAY, WARD = (
    SiteId("st-elsewhere"),
    OperatorId("ines"),
    TerminalId("bay-1"),
    WardId("ed"),
)
NOW: Final = 1_767_225_600_000
TOKEN: Final = bytes(range(32))
KEY: Final = ec.derive_private_key(17, ec.SECP256R1())


def vectors(
    operator: Signer,
    batch: Signer,
    version: DirectoryVersion,
    event: Callable[[int, events.Detail], bytes],
) -> dict[str, bytes]:
    """What passes between desk, gateway and device when a terminal enrols."""
    token = wire.spell_token(TOKEN)
    granted = wire.Granted(terminal=BAY, ward=WARD, token=wire.token_digest(token))
    grant = wire.Grant(
        site=SITE,
        operator=INES,
        nonce="0e" * 32,
        issued_ms=NOW,
        until_ms=NOW + wire.GRANT_MS,
        terminals=(granted,),
    ).seal(operator)
    order, request = _order(batch)
    issued = wire.Issued(certificate=encode_base64(b"a certificate in DER"), directory=version)
    refusal = wire.RefusalAnswer(error=wire.Refusal.TOKEN_USED, code=245, detail="used already")
    lines = {
        f"event-{name}": event(n, detail)
        for n, (name, detail) in enumerate(_told(grant.digest, request.digest).items())
    }
    return {
        "grant": grant.to_bytes(),
        "enrolment-request": request.to_bytes(),
        "order": order.to_bytes(),
        "issued": issued.to_bytes(),
        "pending": wire.Pending(
            code=wire.check_order(order, SITE, None).code, retry_s=10
        ).to_bytes(),
        "refusal": refusal.to_bytes(),
        "enrolment-file": _file(token).to_bytes(),
        **lines,
    }


def _order(batch: Signer) -> tuple[wire.Order, Envelope]:
    builder = x509.CertificateSigningRequestBuilder().subject_name(Subject(BAY, SITE).name)
    csr = builder.sign(KEY, hashes.SHA256(), ecdsa_deterministic=True)
    der = csr.public_bytes(serialization.Encoding.DER)
    request = wire.EnrolmentRequest(
        site=SITE,
        terminal=BAY,
        csr=sha256(der),
        batch_key=batch.public.to_base64(),
        issued_ms=NOW,
    ).seal(batch)
    return wire.Order(csr=encode_base64(der), request=encode_base64(request.to_bytes())), request


def _told(grant: Digest, request: Digest) -> dict[str, events.Detail]:
    enrolled = wire.TerminalEnrolled(
        terminal=BAY, by="token", enrolment=Digest("e0" * 32), request=request, word=grant
    )
    return {
        "terminal-enrolled": enrolled,
        "terminal-retired": wire.TerminalRetired(terminal=BAY, step="revoked", certificates=2),
        "batch-kept-apart": wire.BatchKeptApart(terminal=BAY, batch=Digest("ba" * 32)),
    }


def _file(token: str) -> wire.EnrolmentFile:
    return wire.EnrolmentFile(
        site=SITE,
        terminal=BAY,
        ward=WARD,
        root_fingerprint=Digest("f0" * 32),
        enrol_url="https://gateway.example:8445",
        gateway_url="https://gateway.example:8443",
        broker_host="gateway.example",
        broker_port=8883,
        token=token,
        until_ms=NOW + wire.GRANT_MS,
    )
