"""The ward's PC/SC service: real pcscd, real driver, seen by foreign software and by pyscard."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from smartcard import scard

from benchmarks.ward.pcscd import Pcscd
from benchmarks.ward.ports import PortBlock
from benchmarks.ward.processes import WardError
from tests import parts

NO_SERVICE = 0x8010001D


@pytest.fixture
def ports() -> Iterator[PortBlock]:
    with PortBlock() as block:
        yield block


def test_foreign_software_lists_the_four_readers(ports: PortBlock) -> None:
    with Pcscd(ports) as pcscd:
        said = subprocess.run(
            [parts.program("opensc-tool"), "--list-readers"],
            env={**os.environ, **pcscd.environment},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    assert [line.split("No", 1)[1].strip() for line in said.splitlines()[2:]] == [
        "Ward Contactless 00 00",
        "Ward Contactless 00 01",
        "Ward Contact 00 00",
        "Ward Contact 00 01",
    ]


def test_it_runs_as_nobody_of_importance(ports: PortBlock) -> None:
    with Pcscd(ports) as pcscd:
        status = Path(f"/proc/{pcscd.process.pid}/status").read_text()
    effective = next(line for line in status.splitlines() if line.startswith("Uid:")).split()[2]
    assert effective != "0"


def test_a_killed_service_refuses_and_comes_back_on_the_same_socket(ports: PortBlock) -> None:
    with Pcscd(ports) as pcscd:
        names = pcscd.list_readers()
        # A card is plugged in meanwhile: its connection must not keep the port from the next.
        with socket.create_connection(("127.0.0.1", pcscd.readers[0].port)) as card:
            asked = card.recv(3, socket.MSG_WAITALL)  # length and body come apart
            assert asked == b"\x00\x01\x04"  # the reader asks for its ATR
            pcscd.kill()
        with pytest.raises(WardError, match="does not answer"):
            pcscd.list_readers()
        pcscd.restart()
        assert pcscd.list_readers() == names


def test_this_process_can_use_one_service_after_another(ports: PortBlock) -> None:
    for pair in ("First", "Second"):
        with Pcscd(ports, [pair]) as pcscd:
            pcscd.use_here()
            answer, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_SYSTEM)
            assert answer == scard.SCARD_S_SUCCESS
            assert scard.SCardListReaders(context, [])[1] == [f"{pair} 00 00", f"{pair} 00 01"]
            scard.SCardReleaseContext(context)
        refused = scard.SCardEstablishContext(scard.SCARD_SCOPE_SYSTEM)[0]
        assert refused & 0xFFFFFFFF == NO_SERVICE


def test_two_services_run_side_by_side() -> None:
    with PortBlock() as one, PortBlock() as other, Pcscd(one) as here, Pcscd(other) as there:
        assert here.list_readers() == there.list_readers()
        assert {r.port for r in here.readers}.isdisjoint({r.port for r in there.readers})


def test_a_reader_whose_port_is_taken_is_noticed(ports: PortBlock) -> None:
    pcscd = Pcscd(ports)
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind(("", pcscd.readers[3].port))
        squatter.listen()
        with pytest.raises(WardError, match="Address already in use"), pcscd:
            pass
    assert not pcscd.process.alive
