"""The root has a log go on from a back-up: a new log epoch, and what is missing (DESIGN §7.5).

`gateway/` gets a fresh log key, the key statement that names it, and `restoration.dsse`: what came
back, and the last checkpoint of the epoch before that anybody is known to hold.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ed25519

from contract.checkpoint import open_checkpoint
from contract.ids import KeyId
from contract.journal import Holds
from contract.restoration import Restoration, Restored
from contract.signing import Envelope, SignatureRefused, Signer, SoftwareSigner, VerifyKey
from contract.statements import KeyStatement
from contract.wire import WireError
from provisioning.errors import BadInput
from provisioning.site import keys, rotate
from provisioning.site.folder import SiteFolder
from provisioning.site.making import Replacement
from runtime import durable

NAME: Final = "restore-log"


def plan(
    folder: SiteFolder,
    restored: Restored,
    notes: list[str],
    open_root: Callable[[], Signer],
    now_ms: int,
) -> tuple[rotate.Rotation, Restoration]:
    """What is to be written, in memory. `notes` are signed checkpoints that somebody held.

    The largest of them counts. Raises BadInput, and what `open_root` raises.
    """
    now = rotate.read(folder, now_ms)
    statement = now.statement
    if (restored.site, restored.log.epoch) != (statement.site, statement.log.epoch):
        raise BadInput(
            f"that log is of site {restored.site}, log epoch {restored.log.epoch};"
            f" this folder is at {statement.site}, log epoch {statement.log.epoch}"
        )
    last = restored.log
    for note in notes:
        known = _open(folder, statement, note)
        if known.size == last.size and known.root != last.root:
            raise BadInput("a checkpoint of the same size has another root: that is another log")
        last = max(last, known, key=lambda one: one.size)
    root = open_root()
    log = ed25519.Ed25519PrivateKey.generate()
    declared = Restoration(
        site=statement.site,
        root=root.public.to_base64(),
        epoch=now.next_epoch,
        log_epoch=statement.log.epoch + 1,
        restored=restored.log,
        last=last,
        issued_ms=now.now_ms,
    )
    named = statement.log.model_copy(
        update={
            "epoch": declared.log_epoch,
            "key": SoftwareSigner(log).public.to_base64(),
            "first": last.root,
        }
    )
    envelope = declared.seal(root).to_bytes()
    files = (
        *rotate.declared(now, {"log": named}, root),
        Replacement("gateway/log.key.pem", keys.key_pem(log)),
        Replacement("gateway/restoration.dsse", envelope, 0o644),
        Replacement(f"authority/restorations/{declared.log_epoch}.dsse", envelope, 0o644),
    )
    return rotate.Rotation(rotate.Key.LOG, now.next_epoch, files), declared


def read_restored(path: Path) -> Restored:
    """The gateway's word on what came back. Raises BadInput."""
    try:
        return Restored.from_bytes(durable.read_capped(path, Restored.CAP))
    except (durable.StorageError, WireError) as error:
        raise BadInput(f"{path}: is no restored.json of a gateway ({error})") from error


def _open(folder: SiteFolder, statement: KeyStatement, note: str) -> Holds:
    """The checkpoint, signed by the log's key, the present one or an earlier one of this epoch."""
    why = ""
    for one in (statement, *_before(folder)):
        if one.log.epoch != statement.log.epoch:
            continue
        try:
            key = VerifyKey.from_base64(one.log.key)
            return open_checkpoint(note, one.site, one.log.epoch, key).holds
        except (WireError, SignatureRefused) as error:
            why = why or str(error)
    raise BadInput(f"the last known checkpoint is none of this site's log: {why}")


def _before(folder: SiteFolder) -> list[KeyStatement]:
    """Key statements that were replaced; those of an earlier root cannot be of use here."""
    found: list[KeyStatement] = []
    for path in sorted((folder.authority / "statements").glob("*.dsse")):
        try:
            envelope = Envelope.from_bytes(durable.read_capped(path, Envelope.CAP))
            found.append(KeyStatement.open_pinned(envelope, KeyId(folder.root_fingerprint)))
        except (durable.StorageError, WireError, SignatureRefused):
            continue
    return found
