"""What can go wrong while provisioning, in one family with stable numbers and exit statuses."""

from __future__ import annotations

from typing import ClassVar


class ProvisioningError(Exception):
    """A command could not do what was asked.

    `code` never changes its meaning. `exit_status` is the command's: 1 refused or failed, 2 what
    was given is wrong and nothing was changed, 3 somebody must decide first. `remedy` is what to
    do, as docs/errors.md prints it beside the docstring's first line. Bands: 1xx the site and
    everything, 2xx terminals and enrolment, 3xx cards, 4xx the directory and its guard, 5xx nights.
    """

    code: ClassVar[int] = 100
    exit_status: ClassVar[int] = 1
    remedy: ClassVar[str] = "Read the sentence; it says what to do."


class AlreadyThere(ProvisioningError):
    """An identity exists; keys are made once and never overwritten."""

    code = 101
    remedy = "Use what is there, or name another folder."


class NotThere(ProvisioningError):
    """A site, operator, terminal or card that the command needs is missing."""

    code = 102
    remedy = "Look at --folder and at the name."


class BadInput(ProvisioningError):
    """A file or an argument is not what it must be; nothing was changed."""

    code = 103
    exit_status = 2
    remedy = "Mend what the sentence names and run the command again."


class CardUnfit(ProvisioningError):
    """The card cannot serve: not blank, not PIV, lying, or its 9A is not gated by the PIN."""

    code = 104
    remedy = "Take another card; keep a lying one out of use."


class GatewayRefused(ProvisioningError):
    """The gateway answered no; its own words follow."""

    code = 105
    remedy = "Read its words; nothing was changed."


class GatewayAway(ProvisioningError):
    """No answer came from the gateway: whether it made the change is not known.

    Asking for the same change again does no harm.
    """

    code = 106
    remedy = "See that the gateway runs, then run the same command again: that does no harm."


class DiskFailed(ProvisioningError):
    """The disk did not take what was to be kept."""

    code = 107
    remedy = "Make room, or look at the disk, then run the same command again."


class NotConfirmed(ProvisioningError):
    """A question was not answered with yes; nothing was changed."""

    code = 108
    exit_status = 3
    remedy = "Run the command again and say yes, or give --yes."


class CardTrouble(ProvisioningError):
    """The card or its reader failed while the command spoke to it."""

    code = 110
    remedy = "Present the card again; a command that was cut off goes on where it was."
