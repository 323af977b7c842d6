"""Where a site's log begins, and how a gateway takes up the one it has.

A log is an identity: it is founded once, by command, and never made implicitly. A gateway that
finds none does not start, since a second log under the same keys is what an attacker would show.
"""

from __future__ import annotations

import secrets
from importlib.metadata import version
from typing import Final

from contract.checkpoint import Checkpoint
from contract.events import GatewayStarted, JournalOpened
from contract.ids import Digest, JournalId, KeyId
from contract.signing import SignatureRefused
from contract.statements import KeyStatement
from contract.wire import WireError
from gateway.authority import Authority, open_key_statement
from gateway.checkpoints import sign_checkpoint
from gateway.evidence import Evidence
from gateway.journal import Moment, OwnJournal
from gateway.log import Log, kind_of
from gateway.store import Store
from runtime.settings import CertificateError, SettingsError

SOFTWARE: Final = version("tapover")
_SITE, _EPOCH, _JOURNAL = "site", "log-epoch", "journal"


def found(store: Store, authority: Authority, now: Moment) -> Checkpoint:
    """Begins the log: leaf 0 is the key statement. Raises SettingsError when there is one."""
    with store.read() as tx:
        if tx.facts.all():
            raise SettingsError("this site's log exists; it is never begun twice")
    journal = JournalId(secrets.token_hex(16))
    evidence = _evidence(store, authority, journal)
    with evidence.log.appending() as work:
        facts = {
            _SITE: authority.site,
            _EPOCH: str(authority.keys.log.epoch),
            _JOURNAL: journal,
        }
        work.tx.facts.add(facts)
        work.add_statement(authority.keys_envelope)
        evidence.write_own(work, [JournalOpened(software=SOFTWARE)], now)
    return sign_checkpoint(store, evidence.log, authority, now.wall_ms)


def take_up(store: Store, authority: Authority, root: Digest, now: Moment) -> Evidence:
    """The evidence of this site, ready to be appended to; journals that the gateway started.

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
    if facts[_SITE] != authority.site or facts[_EPOCH] != str(authority.keys.log.epoch):
        raise CertificateError(
            f"the log is of site {facts[_SITE]!r}, log epoch {facts[_EPOCH]}; "
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
    with evidence.log.appending() as work:
        for succession in authority.successions:
            if not work.tx.log.has_statement(succession.digest):
                work.add_statement(succession)
        if is_new:
            work.add_statement(authority.keys_envelope)
        evidence.write_own(work, [GatewayStarted(software=SOFTWARE)], now)
    return evidence


def _evidence(store: Store, authority: Authority, journal: JournalId) -> Evidence:
    own = OwnJournal(journal, authority.statement)
    return Evidence(Log(store), own, authority.log, authority.site, authority.keys.log.epoch)
