"""Enrolment's rows: tokens granted, certificates issued, revocation lists, batches kept apart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from contract.ids import Digest, TerminalId, WardId
from gateway.store import schema
from gateway.store.rows import Rows


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A one-time token by its SHA-256; `granted` is the digest of the grant."""

    digest: Digest
    terminal: TerminalId
    ward: WardId
    granted: Digest
    granted_ms: int
    until_ms: int
    used_ms: int | None = None


@dataclass(frozen=True, slots=True)
class CertificateRow:
    """A terminal's certificate; `key` and `batch` are digests of the keys it was issued for."""

    serial: int
    terminal: TerminalId
    key: Digest
    batch: Digest
    issued_ms: int
    until_ms: int
    certificate: bytes
    revoked_ms: int | None = None
    ended_ms: int | None = None
    """When the broker was seen to hold no session under it any more; only for a revoked one."""


@dataclass(frozen=True, slots=True)
class CrlRow:
    """A revocation list as it was signed."""

    number: int
    issued_ms: int
    pem: bytes


@dataclass(frozen=True, slots=True)
class LateRow:
    """A batch of a terminal that was retired when it came; whole, apart from the log."""

    digest: Digest
    terminal: TerminalId
    received_ms: int
    message: bytes


class EnrolmentRows(Rows):
    """Tokens, certificates, lists, late batches."""

    def add_tokens(self, rows: Iterable[TokenRow]) -> None:
        """Newer ones; an earlier one of the same terminal that was not used ends."""
        table, rows = schema.tokens, list(rows)
        names = {row.terminal for row in rows}
        open_ones = table.c.terminal.in_(names) & table.c.used_ms.is_(None)
        now_ms = rows[0].granted_ms
        ended = sa.update(table).where(open_ones & (table.c.until_ms > now_ms))
        self._connection.execute(ended.values(until_ms=now_ms))
        self._insert(table, [_token_values(row) for row in rows])

    def token(self, digest: Digest) -> TokenRow | None:
        table = schema.tokens
        row = self._connection.execute(
            sa.select(table).where(table.c.digest == digest)
        ).one_or_none()
        return None if row is None else _token(row)

    def tokens_of(self, terminal: TerminalId) -> list[TokenRow]:
        """The newest first."""
        table = schema.tokens
        query = sa.select(table).where(table.c.terminal == terminal)
        rows = self._connection.execute(query.order_by(table.c.granted_ms.desc()))
        return [_token(row) for row in rows]

    def granted_by(self, grant: Digest) -> bool:
        table = schema.tokens
        query = sa.select(table.c.digest).where(table.c.granted == grant).limit(1)
        return self._connection.scalar(query) is not None

    def use_token(self, digest: Digest, now_ms: int) -> bool:
        """Whether it was unused until now."""
        table = schema.tokens
        at = (table.c.digest == digest) & table.c.used_ms.is_(None)
        used = self._connection.execute(sa.update(table).where(at).values(used_ms=now_ms))
        return used.rowcount == 1

    def end_tokens(self, now_ms: int) -> None:
        """None serves any more: of a restored database nobody knows which were used since."""
        table = schema.tokens
        at = table.c.used_ms.is_(None) & (table.c.until_ms > now_ms)
        self._connection.execute(sa.update(table).where(at).values(until_ms=now_ms))

    def forget_tokens(self, terminal: TerminalId) -> None:
        """Those that were not used."""
        table = schema.tokens
        at = (table.c.terminal == terminal) & table.c.used_ms.is_(None)
        self._connection.execute(sa.delete(table).where(at))

    def add_certificate(self, row: CertificateRow) -> None:
        values: dict[str, Any] = {
            "serial": f"{row.serial:040x}",
            "terminal": row.terminal,
            "key": row.key,
            "batch": row.batch,
            "issued_ms": row.issued_ms,
            "until_ms": row.until_ms,
            "certificate": row.certificate,
            "revoked_ms": row.revoked_ms,
            "ended_ms": row.ended_ms,
        }
        self._insert(schema.certificates, [values])

    def certificate(self, serial: int) -> CertificateRow | None:
        return self._certificate(schema.certificates.c.serial == f"{serial:040x}")

    def issued_for(
        self, terminal: TerminalId, key: Digest, batch: Digest, now_ms: int
    ) -> CertificateRow | None:
        """What these keys were answered with, while it serves."""
        table = schema.certificates
        at = (table.c.terminal == terminal) & (table.c.key == key) & (table.c.batch == batch)
        return self._certificate(at & table.c.revoked_ms.is_(None) & (table.c.until_ms > now_ms))

    def certificates_of(self, terminal: TerminalId) -> list[CertificateRow]:
        """The newest first."""
        table = schema.certificates
        query = sa.select(table).where(table.c.terminal == terminal)
        rows = self._connection.execute(query.order_by(table.c.issued_ms.desc()))
        return [_certificate(row) for row in rows]

    def revoke(self, terminal: TerminalId, now_ms: int, *, ended: bool) -> int:
        """Every certificate of a terminal; how many that were. `ended`: no session to look for."""
        table = schema.certificates
        at = (table.c.terminal == terminal) & table.c.revoked_ms.is_(None)
        values = {"revoked_ms": now_ms, "ended_ms": now_ms if ended else None}
        return self._connection.execute(sa.update(table).where(at).values(values)).rowcount

    def revoked_serials(self, now_ms: int) -> list[int]:
        """Of certificates that would else still be valid."""
        table = schema.certificates
        at = table.c.revoked_ms.is_not(None) & (table.c.until_ms > now_ms)
        rows = self._connection.execute(sa.select(table.c.serial).where(at).order_by("serial"))
        return [int(row.serial, 16) for row in rows]

    def sessions_to_end(self) -> list[TerminalId]:
        table = schema.certificates
        at = table.c.revoked_ms.is_not(None) & table.c.ended_ms.is_(None)
        query = sa.select(table.c.terminal).where(at).distinct().order_by(table.c.terminal)
        return list(self._connection.scalars(query))

    def session_ended(self, terminal: TerminalId, now_ms: int) -> None:
        table = schema.certificates
        at = (table.c.terminal == terminal) & table.c.revoked_ms.is_not(None)
        self._connection.execute(
            sa.update(table).where(at & table.c.ended_ms.is_(None)).values(ended_ms=now_ms)
        )

    def newest_crl(self) -> CrlRow | None:
        table = schema.crls
        query = sa.select(table).order_by(table.c.number.desc()).limit(1)
        row = self._connection.execute(query).one_or_none()
        return None if row is None else CrlRow(row.number, row.issued_ms, row.pem)

    def put_crl(self, row: CrlRow) -> None:
        """The newest alone is kept: its number is what counts."""
        self._connection.execute(sa.delete(schema.crls))
        values = {"number": row.number, "issued_ms": row.issued_ms, "pem": row.pem}
        self._insert(schema.crls, [values])

    def late_of(self, terminal: TerminalId) -> list[Digest]:
        table = schema.late_batches
        query = sa.select(table.c.digest).where(table.c.terminal == terminal)
        return list(self._connection.scalars(query))

    def add_late(self, row: LateRow) -> None:
        values = {
            "digest": row.digest,
            "terminal": row.terminal,
            "received_ms": row.received_ms,
            "message": row.message,
        }
        self._insert(schema.late_batches, [values])

    def _certificate(self, at: sa.ColumnElement[bool]) -> CertificateRow | None:
        table = schema.certificates
        query = sa.select(table).where(at).order_by(table.c.issued_ms.desc()).limit(1)
        row = self._connection.execute(query).one_or_none()
        return None if row is None else _certificate(row)


def _token(row: sa.Row[Any]) -> TokenRow:
    return TokenRow(
        row.digest, row.terminal, row.ward, row.granted, row.granted_ms, row.until_ms, row.used_ms
    )


def _token_values(row: TokenRow) -> dict[str, Any]:
    return {
        "digest": row.digest,
        "terminal": row.terminal,
        "ward": row.ward,
        "granted": row.granted,
        "granted_ms": row.granted_ms,
        "until_ms": row.until_ms,
        "used_ms": row.used_ms,
    }


def _certificate(row: sa.Row[Any]) -> CertificateRow:
    return CertificateRow(
        serial=int(row.serial, 16),
        terminal=row.terminal,
        key=row.key,
        batch=row.batch,
        issued_ms=row.issued_ms,
        until_ms=row.until_ms,
        certificate=row.certificate,
        revoked_ms=row.revoked_ms,
        ended_ms=row.ended_ms,
    )
