"""The enrolment file on the boot partition: read, kept without its token, and erased afterwards."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from contract.enrolment import EnrolmentFile
from contract.wire import WireError
from firmware_py.site.place import PLACE, Place, read_place
from runtime.durable import NotThere, StorageError, TooLarge, read_capped, remove, write_file

LOG: Final = logging.getLogger("tapover.enrolment")


class PaperUnreadable(Exception):
    """A file is there and is no enrolment file."""


@dataclass(frozen=True, slots=True)
class Paper:
    """Where to enrol, and with which token, if there is one."""

    place: Place
    token: str | None

    def __repr__(self) -> str:
        return f"Paper({self.place.terminal}, …)"


def read_paper(file: Path, identity: Path) -> Paper | None:
    """What the file says, else what one said earlier, without a token; None: neither.

    What it says is durable in `identity` before it is used. Raises PaperUnreadable, StorageError,
    CertificateError.
    """
    found = _read(file)
    kept = read_place(identity)
    if found is None:
        return None if kept is None else Paper(kept, None)
    place = _place_of(found)
    if place != kept:
        write_file(identity / PLACE, place.to_bytes())
    return Paper(place, found.token)


def erase(file: Path) -> None:
    """Overwrite and remove the file: its token must not go on lying on a card that is carried off.

    What cannot be removed is said in the log; the token opens nothing any more.
    """
    try:
        with file.open("r+b") as opened:
            opened.write(bytes(file.stat().st_size))
            opened.flush()
            os.fsync(opened.fileno())
        remove(file)
    except (NotThere, FileNotFoundError):
        return
    except (OSError, StorageError) as error:
        LOG.warning("the enrolment file could not be erased", extra={"why": str(error)})


def tidy(file: Path, identity: Path) -> None:
    """An enrolled terminal's: erased where enrolment was cut off before it could, else left."""
    try:
        found, kept = _read(file), read_place(identity)
    except (PaperUnreadable, StorageError) as error:
        LOG.warning("an enrolment file that is none", extra={"why": str(error)})
        return
    if found is not None and _place_of(found) == kept:
        erase(file)
    elif found is not None:
        LOG.warning("an enrolment file for another place is left alone; empty the identity folder")


def _read(file: Path) -> EnrolmentFile | None:
    try:
        return EnrolmentFile.from_bytes(read_capped(file, EnrolmentFile.CAP))
    except NotThere:
        return None
    except (WireError, TooLarge) as error:
        raise PaperUnreadable(str(error)) from error


def _place_of(found: EnrolmentFile) -> Place:
    return Place(
        site=found.site,
        terminal=found.terminal,
        ward=found.ward,
        root_fingerprint=found.root_fingerprint,
        enrol_url=found.enrol_url,
        gateway_url=found.gateway_url,
        broker_host=found.broker_host,
        broker_port=found.broker_port,
    )
