"""The gateway's tables: the only place that speaks SQL, by SQLAlchemy Core and Alembic.

Neutral SQL: SQLite by default, PostgreSQL for growth.
"""

from gateway.store.claims import Claim, ClaimKind, Ending, Past
from gateway.store.directory import ChangeRow, ManifestRow
from gateway.store.engine import StoreFailed, sqlite_url
from gateway.store.enrolment import CertificateRow, CrlRow, LateRow, TokenRow
from gateway.store.held import LIVE, HeldKind, HeldRow, HeldState
from gateway.store.help import AssignmentRow, EscrowRow, ReleaseRow
from gateway.store.rows import BatchRow, CheckpointRow, ForkRow, JournalRow
from gateway.store.store import Store, Transaction

__all__ = [
    "LIVE",
    "AssignmentRow",
    "BatchRow",
    "CertificateRow",
    "ChangeRow",
    "CheckpointRow",
    "Claim",
    "ClaimKind",
    "CrlRow",
    "Ending",
    "EscrowRow",
    "ForkRow",
    "HeldKind",
    "HeldRow",
    "HeldState",
    "JournalRow",
    "LateRow",
    "ManifestRow",
    "Past",
    "ReleaseRow",
    "Store",
    "StoreFailed",
    "TokenRow",
    "Transaction",
    "sqlite_url",
]
