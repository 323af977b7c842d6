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


class TokenTrouble(ProvisioningError):
    """The PKCS#11 token that holds the root key is not there, or refuses."""

    code = 109
    remedy = "Look at the token, its module and its PIN; then run the same command again."


class CardTrouble(ProvisioningError):
    """The card or its reader failed while the command spoke to it."""

    code = 110
    remedy = "Present the card again; a command that was cut off goes on where it was."


class FolderBusy(ProvisioningError):
    """Another command works on the site's folder; nothing was changed."""

    code = 111
    remedy = "Wait for the other command to end, then run this one again."


class OverlapOpen(ProvisioningError):
    """The last rotation of the key still overlaps, or there is none to end; nothing was changed."""

    code = 112
    remedy = "End an overlap with --finish, once nobody needs the old key any more."


class RotationCutOff(ProvisioningError):
    """A rotation was cut off and is not whole; nothing was changed by this command."""

    code = 113
    remedy = "Run tapover site rotate with the same key: it makes that rotation whole."


class TrivialPin(ProvisioningError):
    """The PIN is one of those that are guessed first; nothing was changed."""

    code = 301
    exit_status = 2
    remedy = "Choose another: no sequence, no repeats, no date, nothing of the holder's own."


class CardOfAnother(ProvisioningError):
    """The card was begun for, or belongs to, somebody else; nothing was changed."""

    code = 302
    remedy = "Take a blank card, or undo the one that was begun: tapover card undo."


class NotOurCard(ProvisioningError):
    """This authority did not issue the card and has no key to it; nothing was changed."""

    code = 303
    remedy = "Ask those who issued it; tapover can only enrol it."


class PukUnknown(ProvisioningError):
    """The card's PUK is not the one that is kept, or it cannot be told which of two it is."""

    code = 304
    remedy = "tapover card undo makes a card blank that can be reset; else keep it out of use."


class CardBlocked(ProvisioningError):
    """The card takes no PIN or PUK any more."""

    code = 305
    remedy = "A blocked PIN: tapover card unlock. A blocked PUK: replace the card."


class PinRefused(ProvisioningError):
    """The card did not take the PIN that was given; its tries are counted."""

    code = 306
    remedy = "Ask the holder, mind the tries that are left, and run the command again."


class GuidTaken(ProvisioningError):
    """The directory knows a card of this GUID, or of one of these keys, already."""

    code = 307
    remedy = "If it is this very card, look at its state; two cards of one GUID cannot both serve."


class StatusIsFinal(ProvisioningError):
    """The card was revoked or lost for good; suspension alone can be lifted."""

    code = 308
    remedy = "Issue another: tapover card replace."


class UngatedCard(ProvisioningError):
    """The card was made, but its 9A signs without a PIN: a PIN would prove nothing by it."""

    code = 309
    remedy = "tapover card undo, and another make of card."


class MadeNotPublished(ProvisioningError):
    """The card is ready and kept, and the gateway does not know it yet."""

    code = 310
    remedy = "Run the command that the sentence names; it needs no card in the reader."
