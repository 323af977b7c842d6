"""Where a site's log begins, and how a gateway takes up the one it has.

A log is an identity: it is founded once, by command, and never made implicitly. A gateway that
finds none does not start, since a second log under the same keys is what an attacker would show.
"""

from __future__ import annotations

import secrets
from importlib.metadata import version
from typing import Final

from contract.checkpoint import Checkpoint
from contract.events import JournalOpened
from contract.governing import GatewayStarted
from contract.ids import Digest, JournalId, KeyId
from contract.journal import Holds
from contract.restoration import Restoration
from contract.signing import SignatureRefused
from contract.statements import KeyStatement
from contract.wire import WireError
from gateway.authority import Authority, open_key_statement
from gateway.directory.source import UNSETTLED
from gateway.evidence.checkpoints import sign_checkpoint
from gateway.evidence.journal import Moment, OwnJournal
from gateway.evidence.keeping import Evidence
from gateway.evidence.log import Appending, Log, kind_of
from gateway.store import Store
from runtime.settings import CertificateError, SettingsError

SOFTWARE: Final = version("tapover")
SITE, EPOCH, _JOURNAL = "site", "log-epoch", "journal"
RESTORED: Final = "restored"
"""A fact of a log that was laid down from a back-up, until the root has declared it."""


def found(store: Store, authority: Authority, now: Moment) -> Checkpoint:
    """Begins the log: leaf 0 is the key statement. Raises SettingsError when there is one."""
    with store.read() as tx:
        if tx.facts.all():
            raise SettingsError("this site's log exists; it is never begun twice")
    journal = JournalId(secrets.token_hex(16))
    evidence = _evidence(store, authority, journal)
    with evidence.log.appending() as work:
        facts = {
            SITE: authority.site,
            EPOCH: str(authority.keys.log.epoch),
            _JOURNAL: journal,
        }
        work.tx.facts.add(facts)
        work.add_statement(authority.keys_envelope)
        evidence.write_own(work, [JournalOpened(software=SOFTWARE)], now)
    return sign_checkpoint(store, evidence.log, authority, now.wall_ms)


def take_up(
    store: Store, authority: Authority, root: Digest, now: Moment, *, starts: bool = True
) -> Evidence:
    """The evidence of this site, ready to be appended to; journals that the gateway `starts`.

    Raises SettingsError when there is no log, CertificateError when it was made under other keys.
    """
    with store.read() as tx:
        facts = tx.facts.all()
        newest = tx.log.newest_statement(kind_of(KeyStatement.PAYLOAD_TYPE))
    if not facts or newest is None:
        raise SettingsError(
            "there is no evidence log in the database: restore it from a back-up; "
            "for a new site, once: `tapover-gateway init`"
        )
    declared = authority.restoration
    if declared is not None and facts[EPOCH] != str(declared[0].restored.epoch):
        declared = None  # the log went on from it already
    if RESTORED in facts and declared is None:
        raise CertificateError(
            "the log was laid down from a back-up, and the root has not declared it yet:"
            " `tapover site restore-log`, then put its `gateway/` in `identity_dir`"
        )
    epoch = facts[EPOCH] if declared is None else str(declared[0].log_epoch)
    if facts[SITE] != authority.site or epoch != str(authority.keys.log.epoch):
        raise CertificateError(
            f"the log is of site {facts[SITE]!r}, log epoch {facts[EPOCH]}; "
            "the key statement names another: check `identity_dir` and `database`"
        )
    try:
        logged, _ = open_key_statement(newest, (KeyId(root), *authority.roots))
    except (WireError, SignatureRefused) as error:
        raise CertificateError(
            f"the log's own key statement does not hold ({error}): check `root_fingerprint`, "
            "`identity_dir` and `database`"
        ) from error
    evidence = _evidence(store, authority, JournalId(facts[_JOURNAL]))
    is_new = newest != authority.keys_envelope.to_bytes()
    if is_new and authority.keys.epoch <= logged.epoch:
        raise CertificateError(
            f"the key statement (epoch {authority.keys.epoch}) is not the one in the log "
            f"(epoch {logged.epoch}): put the newest in `identity_dir`"
        )
    if declared is not None:
        _require_declared(evidence, authority, declared[0], is_restored=RESTORED in facts)
    with evidence.log.appending() as work:
        _add_successions(work, authority)
        if declared is not None:
            work.add_statement(declared[1])
            work.tx.enrolment.end_tokens(now.wall_ms)
            work.tx.facts.drop({RESTORED, EPOCH, UNSETTLED})
            work.tx.facts.add({EPOCH: epoch, UNSETTLED: str(authority.keys.epoch)})
        if is_new:
            work.add_statement(authority.keys_envelope)
        if starts:
            evidence.write_own(work, [GatewayStarted(software=SOFTWARE)], now)
    return evidence


def _add_successions(work: Appending, authority: Authority) -> None:
    for succession in authority.successions:
        if not work.tx.log.has_statement(succession.digest):
            work.add_statement(succession)


def _require_declared(
    evidence: Evidence, authority: Authority, declared: Restoration, *, is_restored: bool
) -> None:
    edge = evidence.log.edge()
    here = Holds(epoch=declared.restored.epoch, size=edge.size, root=Digest(edge.root().hex()))
    if not is_restored or here != declared.restored or declared.epoch != authority.keys.epoch:
        raise CertificateError(
            f"restoration.dsse declares a log of {declared.restored.size} leaves, restored under"
            f" key epoch {declared.epoch}; that is not what is in the database"
        )


def _evidence(store: Store, authority: Authority, journal: JournalId) -> Evidence:
    own = OwnJournal(journal, authority.statement)
    return Evidence(Log(store), own, authority.log, authority.site, authority.keys.log.epoch)
