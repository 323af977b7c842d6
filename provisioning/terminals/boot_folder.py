"""The folder for a terminal's boot partition: copied there, and the device enrols by itself.

cloud-init (NoCloud) reads `user-data`, `network-config` and `meta-data`; they are JSON, which every
YAML reader reads. The token lies in `tapover/enrolment.json` alone, and the device removes it.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Final

from contract.enrolment import EnrolmentFile
from contract.wire import WireError
from provisioning.errors import AlreadyThere, BadInput, DiskFailed
from provisioning.terminals import label
from provisioning.terminals.network import Network
from runtime import durable

ENROLMENT: Final = "tapover/enrolment.json"
SERVICE: Final = "tapover-terminal.service"
_README: Final = """\
{terminal}, ward {ward}, site {site}

1. Write the terminal's image to the card or disk.
2. Copy everything in this folder to its boot partition (the FAT one), files and the folder
   `tapover` alike.
3. Put it into the terminal, connect the network, switch it on. The glass says what it waits for.
4. Stick the label on it (label.svg, label.png).

It must happen within 72 hours of {made}: until then the one-time token in
tapover/enrolment.json lets whoever holds it become this terminal, once. Keep this folder where
keys are kept, and remove it afterwards. Later the glass shows eight letters instead, and an
operator lets the terminal in: tapover terminal approve <letters>.
"""


def write(folder: Path, file: EnrolmentFile, network: Network, made: str) -> None:
    """Makes `folder`, whole or not at all; it must not exist. `made` is a date for people.

    Raises AlreadyThere, DiskFailed.
    """
    if folder.exists():
        raise AlreadyThere(f"{folder} exists already; its token may be in use")
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    # An earlier call was cut off: its token was never shown to a device.
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        durable.make_folder(unfinished / "tapover")
        for name, data in contents(file, network, made).items():
            durable.create_new(unfinished / name, data)
        durable.flush_folder(unfinished)
        unfinished.rename(folder)
        durable.flush_folder(folder.parent)
    except (durable.StorageError, OSError) as error:
        raise DiskFailed(str(error)) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def contents(file: EnrolmentFile, network: Network, made: str) -> dict[str, bytes]:
    """Every file by its name."""
    readme = _README.format(terminal=file.terminal, ward=file.ward, site=file.site, made=made)
    found = {
        "user-data": b"#cloud-config\n" + _json(_user_data(file, network)),
        "network-config": _json(network.to_netplan()),
        "meta-data": _json(_meta_data(file)),
        ENROLMENT: file.to_bytes(),
        "README.txt": readme.encode(),
        "label.svg": label.svg(file),
        "label.png": label.png(file),
    }
    if network.dot1x is not None:
        found |= {f"tapover/{name}": data for name, data in network.dot1x.files.items()}
    return found


def read(folder: Path) -> EnrolmentFile:
    """The enrolment file in a folder. Raises BadInput."""
    path = folder / ENROLMENT
    try:
        return EnrolmentFile.from_bytes(durable.read_capped(path, EnrolmentFile.CAP))
    except (durable.StorageError, WireError) as error:
        raise BadInput(f"{path}: {error}") from error


def _user_data(file: EnrolmentFile, network: Network) -> dict[str, Any]:
    data: dict[str, Any] = {
        "hostname": file.terminal,
        "preserve_hostname": False,
        "manage_etc_hosts": True,
        # Nobody signs on to a terminal: a list without "default" makes no user, and root has no
        # password. (cloud-init's schema refuses an empty list.)
        "users": [{"name": "root", "lock_passwd": True}],
        "disable_root": True,
        "ssh_pwauth": False,
        "package_update": False,
        "package_upgrade": False,
        "runcmd": [["systemctl", "enable", "--now", SERVICE]],
    }
    if network.timezone:
        data["timezone"] = network.timezone
    if network.ntp:
        data["ntp"] = {"enabled": True, "servers": list(network.ntp)}
    return data


def _meta_data(file: EnrolmentFile) -> dict[str, Any]:
    # Another token is another first boot: cloud-init runs once for each instance.
    return {
        "instance-id": f"{file.site}-{file.terminal}-{file.until_ms}",
        "local-hostname": file.terminal,
    }


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, indent=2).encode() + b"\n"
