"""What can go wrong while provisioning, in one family with stable numbers and exit statuses."""

from __future__ import annotations

from typing import ClassVar


class ProvisioningError(Exception):
    """Says what happened and what to do. `code` never changes its meaning.

    `exit_status` is the command's.
    """

    code: ClassVar[int] = 100
    exit_status: ClassVar[int] = 1


class AlreadyThere(ProvisioningError):
    """An identity exists; keys are made once and never overwritten."""

    code = 101


class NotThere(ProvisioningError):
    """A site, operator, terminal or card that the command needs is missing."""

    code = 102


class BadInput(ProvisioningError):
    """A file or an argument is not what it must be; nothing was changed."""

    code = 103
    exit_status = 2


class DiskFailed(ProvisioningError):
    """The disk did not take what was to be kept."""

    code = 107


class CardUnfit(ProvisioningError):
    """The card cannot serve: not blank, not PIV, lying, or its 9A is not gated by the PIN."""

    code = 104


class GatewayRefused(ProvisioningError):
    """The gateway answered no; its own words follow."""

    code = 105


class GatewayAway(ProvisioningError):
    """No answer came from the gateway: whether it made the change is not known.

    Asking for the same change again does no harm.
    """

    code = 106
