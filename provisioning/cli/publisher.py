"""What every command that changes the directory shares: sign, send, then remember."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

from contract.directory import Entry
from contract.ids import OperatorId
from provisioning.cli import console
from provisioning.directory import ledger
from provisioning.directory.administration import Administration
from provisioning.directory.mirror import Mirror
from provisioning.directory.publish import Gateway, Operator, publish
from provisioning.errors import BadInput, ProvisioningError
from provisioning.site.folder import SiteFolder, require_name
from runtime.clock import SystemClock


@dataclass(frozen=True, slots=True)
class Publisher:
    """An operator of a site, and the gateway's administration interface as HOST:PORT."""

    folder: SiteFolder
    operator: str
    address: str

    def send(self, *changed: Entry) -> dict[str, Any]:
        """The version that the change became, for the answer. Raises ProvisioningError."""
        name = OperatorId(require_name(self.operator, "operator"))
        ca = self.folder.gateway / "operator_ca.crt.pem"
        host, port = parse_address(self.address)
        gateway = Gateway(self.folder.site, host, port)
        who = Operator(name, self.folder.operator(name), ca)
        version = publish(gateway, who, changed, SystemClock().wall_ms())
        ledger.remember(self.folder, changed)
        self._follow(gateway, who)
        return {"version": {"epoch": version.epoch, "n": version.n}}

    def _follow(self, gateway: Gateway, who: Operator) -> None:
        """The copy of the directory too: what a lost gateway had, it may have to give back."""
        if not (self.folder.authority / "directory.sqlite").exists():
            return  # nobody has begun one here
        try:
            with Administration(gateway, who) as at, Mirror.open(self.folder) as mirror:
                mirror.sync(at)
        except (ProvisioningError, sqlite3.Error) as error:
            console.words(f"The change is made; this copy of the directory lags behind: {error}")


def parse_address(text: str) -> tuple[str, int]:
    """HOST:PORT. Raises BadInput."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise BadInput(f"'{text}' is no HOST:PORT")
    return host, int(port)
