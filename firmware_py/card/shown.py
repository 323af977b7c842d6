"""What a card without 9E shows before it is given its PIN: the certificate of its 9A.

No such card can sign before VERIFY, so nothing here is a proof: whoever has copied GUID and
certificate passes. But PIV lets a certificate of 9A be read in the slot alone (SP 800-73-4 part 1,
table 2), so a GUID that was read through a pocket is not enough to be given a PIN.
"""

from __future__ import annotations

import warnings

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from contract.certificates import spki
from contract.directory import Credential
from contract.wire import decode_base64
from hardware.apdu import CardError
from hardware.piv import PivClient
from hardware.pivdata import KeySlot, UnusableCard


def shows_key(piv: PivClient, credential: Credential) -> bool:
    """Whether 9A's certificate names this very key. Raises HardwareError but for what is not there.

    Who issued it, and until when, is the issuer's matter, as at enrolment.
    """
    try:
        der = piv.read_certificate(KeySlot.AUTHENTICATION)
    except (CardError, UnusableCard):
        return False
    try:
        with warnings.catch_warnings():
            # Foreign certificates bend RFC 5280 in ways that are no matter of ours.
            warnings.simplefilter("ignore")
            key = spki(x509.load_der_x509_certificate(der).public_key())
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion):
        return False
    return key == decode_base64(credential.key)
