"""Which room stands on which: inside a package, imports go one way.

What stands at a package's root beside its rooms (the composition root, and the words that every
room shares with the consumer) may be imported from everywhere and is not judged here, except at
the gateway and in provisioning, where it has its place among the rooms.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from tests.test_house.tree import ROOT, imports_of, modules, parse, short

# From the ground up. A room may import those before it, never one after it.
ROOMS: Final = {
    "firmware_py": (
        "glass",
        "loopback",
        "evidence",
        "trust",
        "sessions",
        "card",
        "site",
        "signon",
        "workspace",
        "countersign",
        "help",
        "pin",
        "roaming",
        "emergency",
        "kiosk",
        "local_api",
        "enrolment",
    ),
    "gateway": (
        "tiles",
        "store",
        "authority",
        "settings",
        "evidence",
        "certificates",
        "directory",
        "founding",
        "backing_up",
        "enrolment",
        "help",
        "link",
        "http",
        "enrolling",
        "app",
        "__main__",
    ),
    "provisioning": (
        "errors",
        "site",
        "directory",
        "cards",
        "terminals",
        "cli",
        "__main__",
    ),
}


def rooms_of(package: str) -> set[str]:
    return {
        path.parent.relative_to(ROOT / package).parts[0]
        for path in modules(package)
        if path.parent != ROOT / package
    }


def crossings(package: str) -> Iterator[tuple[str, str, str]]:
    """Each import from room to room: where it stands, from which, into which."""
    order = ROOMS[package]
    for path in modules(package):
        here = path.relative_to(ROOT / package).parts[0].removesuffix(".py")
        for name_here, name in imports_of(parse(path)).items():
            root, _, rest = name.partition(".")
            there = rest.partition(".")[0]
            if root == package and here in order and there in order and here != there:
                yield f"{short(path)} ({name_here})", here, there


@pytest.mark.parametrize("package", ROOMS)
def test_every_room_has_its_place(package: str) -> None:
    assert rooms_of(package) <= set(ROOMS[package])


@pytest.mark.parametrize("package", ROOMS)
def test_no_room_leans_on_one_above_it(package: str) -> None:
    order = ROOMS[package]
    faults = [
        f"{where}: {here} imports {there}, which stands on it"
        for where, here, there in crossings(package)
        if order.index(there) > order.index(here)
    ]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("package", ROOMS)
def test_the_rooms_are_seen_to_import_one_another(package: str) -> None:
    """Else the rule above would hold for a package in which it finds nothing."""
    assert len(set(crossings(package))) > len(ROOMS[package])
