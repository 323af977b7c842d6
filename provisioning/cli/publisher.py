"""What every command that changes the directory shares: sign, send, then remember."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from contract.directory import Entry
from contract.ids import OperatorId
from provisioning import ledger
from provisioning.errors import BadInput
from provisioning.publish import Gateway, Operator, publish
from provisioning.site import SiteFolder, require_name
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
        version = publish(
            Gateway(self.folder.site, host, port),
            Operator(name, self.folder.operator(name), ca),
            changed,
            SystemClock().wall_ms(),
        )
        ledger.remember(self.folder, changed)
        return {"version": {"epoch": version.epoch, "n": version.n}}


def parse_address(text: str) -> tuple[str, int]:
    """HOST:PORT. Raises BadInput."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise BadInput(f"'{text}' is no HOST:PORT")
    return host, int(port)
