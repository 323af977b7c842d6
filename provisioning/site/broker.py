"""What mosquitto is told: who may say and hear what, and how it listens (DESIGN §8).

TLS 1.3 alone. Whoever connects has a certificate of the one authority in `cafile`, the terminals';
its common name is user name and client id, and the access rules go by it. Nothing is kept on disk:
receipts carry the promise. Product, ward in a box and documentation take it from here.
"""

from __future__ import annotations

import os
import pwd
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from contract.topics import AMONG_TERMINALS, GATEWAY, PREFIX, RESERVED, FromTerminal, ToTerminal
from provisioning.errors import BadInput
from runtime import durable

CONFIGURATION: Final = "mosquitto.conf"
ACCESS: Final = "access"
RELOAD_PATH: Final = "tapover-broker-reload.path"
RELOAD_SERVICE: Final = "tapover-broker-reload.service"

_MAX_PACKET_BYTES: Final = 1 << 20  # above any batch or statement on the wire
_MAX_QUEUED: Final = 20_000  # messages for a slow gateway: terminals send again what is dropped
_MAX_QUEUED_BYTES: Final = 256 << 20  # the broker's memory for one of them, at worst
_MAX_INFLIGHT: Final = 100


@dataclass(frozen=True, slots=True)
class Broker:
    """One broker: where it listens, and where it finds what it needs."""

    host: str
    port: int
    certificate: Path
    key: Path
    terminal_authority: Path
    crl: Path
    access: Path
    user: str | None = None
    """Whom it becomes when root starts it; None: whom mosquitto says itself."""


def access_rules() -> str:
    """For `acl_file`: `%u` is the certificate's common name. What nothing allows is denied."""
    own = f"{PREFIX}/%u"
    terminals = [
        *_rules("pattern write", own, FromTerminal),
        *_rules("pattern read", own, ToTerminal),
        f"pattern read {PREFIX}/{RESERVED}/+",
        *_rules("pattern read", f"{PREFIX}/+", AMONG_TERMINALS),
    ]
    gateway = [
        f"user {GATEWAY}",
        *_rules("topic read", f"{PREFIX}/+", FromTerminal),
        *_rules("topic write", f"{PREFIX}/+", ToTerminal),
        f"topic write {PREFIX}/{RESERVED}/+",
    ]
    return "\n".join([*terminals, "", *gateway, ""])


def _rules(right: str, below: str, channels: Iterable[str]) -> list[str]:
    return [f"{right} {below}/{channel}" for channel in channels]


def configuration(broker: Broker) -> str:
    """mosquitto.conf."""
    user = f"user {broker.user}\n" if broker.user else ""
    return f"""\
{user}persistence false
allow_anonymous false
acl_file {broker.access}
max_packet_size {_MAX_PACKET_BYTES}
max_queued_messages {_MAX_QUEUED}
max_queued_bytes {_MAX_QUEUED_BYTES}
max_inflight_messages {_MAX_INFLIGHT}
set_tcp_nodelay true
log_dest stderr
log_type error
log_type warning
log_type notice
log_type information

listener {broker.port} {broker.host}
tls_version tlsv1.3
certfile {broker.certificate}
keyfile {broker.key}
cafile {broker.terminal_authority}
crlfile {broker.crl}
require_certificate true
use_identity_as_username true
use_username_as_clientid true
"""


def reload_units(broker: Broker, service: str) -> Mapping[str, str]:
    """For systemd, by file name: `service` is told to read again when its revocation list changes.

    Where gateway and broker run as two users, the gateway may not signal the broker; it only writes
    the list. mosquitto reads that again at SIGHUP alone, which is what reloading it sends.
    """
    path = f"""\
[Unit]
Description=The broker's list of revoked certificates

[Path]
PathChanged={broker.crl}

[Install]
WantedBy=multi-user.target
"""
    reload = f"""\
[Unit]
Description=Have the broker read its list of revoked certificates again
After={service}

[Service]
Type=oneshot
ExecStart=systemctl try-reload-or-restart {service}
"""
    return {RELOAD_PATH: path, RELOAD_SERVICE: reload}


def write(folder: Path, broker: Broker, service: str | None) -> tuple[Path, ...]:
    """Its files in `folder`, each replaced whole; with the units where there is a `service`.

    Returns what was written. Raises BadInput, runtime.durable.StorageError.
    """
    files = {CONFIGURATION: configuration(broker), ACCESS: access_rules()}
    if service is not None:
        files |= reload_units(broker, service)
    durable.make_folder(folder, 0o755)
    for name, text in files.items():
        durable.write_file(folder / name, text.encode(), 0o640 if name == ACCESS else 0o644)
    if broker.user is not None and os.geteuid() == 0:
        # Later versions of mosquitto refuse rules that everybody can read.
        _give(folder / ACCESS, broker.user)
    return tuple(folder / name for name in files)


def _give(path: Path, user: str) -> None:
    try:
        shutil.chown(path, group=pwd.getpwnam(user).pw_gid)
    except KeyError as error:
        raise BadInput(f"this machine has no user '{user}'; give --user") from error
