"""`tapover-gateway downtime`: a statement that a ward may run without the gateway for some hours.

For planned work, or for a terminal that nothing reaches: the file is brought there by hand, as
`downtime.statement` in its state folder. It gives no right to anybody; it says that old ones count.
A leaf of the site's log holds it before the file is written: by the gateway that serves here, or by
this command where none does.
"""

from __future__ import annotations

import os
from pathlib import Path

from contract.ids import WardId, is_name
from contract.signing import Envelope
from gateway import authority, founding
from gateway.evidence.checkpoints import sign_checkpoint
from gateway.evidence.journal import Moment
from gateway.link import stating
from gateway.link.stating import MOST_MINUTES, NotStated, Order
from gateway.settings import GatewaySettings
from gateway.store import Store, StoreFailed
from gateway.tiles import TileMissing
from runtime.clock import Clock
from runtime.durable import FolderInUse, FolderLock, StorageError, write_file
from runtime.settings import SettingsError, StartError


def state(settings: GatewaySettings, ward: str, minutes: int, path: Path, clock: Clock) -> str:
    """Writes the statement, valid from now; returns its digest. Raises StartError.

    What could not be written afterwards is in the log all the same; it is stated anew then.
    """
    if not is_name(ward):
        raise SettingsError("a ward's id is small letters, digits and hyphens")
    if not 1 <= minutes <= MOST_MINUTES:
        raise SettingsError(f"downtime is stated for 1 to {MOST_MINUTES} minutes")
    if not path.absolute().parent.is_dir():
        raise SettingsError(f"{path}: there is no such folder")
    try:
        envelope = _stated(settings, Order(ward=WardId(ward), minutes=minutes), clock)
        write_file(path, envelope.to_bytes())
    except (NotStated, StorageError, StoreFailed, TileMissing) as error:
        raise StartError(str(error)) from error
    return envelope.digest


def _stated(settings: GatewaySettings, order: Order, clock: Clock) -> Envelope:
    try:
        with FolderLock(settings.state_dir):
            return _alone(settings, order, clock)
    except FolderInUse:
        return stating.ask(settings.state_dir, order)


def _alone(settings: GatewaySettings, order: Order, clock: Clock) -> Envelope:
    """No gateway serves from this folder: the log is ours for the moment."""
    if (file := settings.database_file) is not None and not file.is_file():
        raise SettingsError(f"there is no evidence log at {file}: nothing is stated outside of it")
    now = Moment.of(clock)
    known = authority.load(settings.identity_dir, settings.site_id, settings.root, now.wall_ms)
    store = Store.open(settings.database_url)
    try:
        evidence = founding.take_up(store, known, settings.root, now, starts=False)
        envelope = stating.state(evidence, known, order, os.getuid(), now)
        sign_checkpoint(store, evidence.log, known, now.wall_ms)
    finally:
        store.close()
    return envelope
