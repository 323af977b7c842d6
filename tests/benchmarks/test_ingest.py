"""The ingest benchmark's own honesty: what it sends is what the product takes, and it counts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from benchmarks.harness.workload import Phase
from benchmarks.ingest import cells, price
from benchmarks.ingest.generator import Order
from benchmarks.ingest.load import Due, spread
from benchmarks.ingest.postgres import Postgres
from benchmarks.ingest.scribe import TAP_EVENTS, Scribe
from benchmarks.ingest.site import IngestSite
from benchmarks.ingest.wire import packet, packets
from benchmarks.ingest.workload import WORKLOAD
from contract.directory import TerminalState
from contract.events import Event
from contract.ids import TerminalId
from contract.journal import Head, Verdict, judge
from contract.signing import SoftwareSigner
from gateway.directory.register import Register
from gateway.link.ingest import Incoming, verify
from tests.gateway.requests import terminal_entry

BAY = TerminalId("bay-0000")


@pytest.fixture
def signer() -> SoftwareSigner:
    return SoftwareSigner(ec.generate_private_key(ec.SECP256R1()))


class Watcher:
    """A Progress that remembers."""

    def __init__(self) -> None:
        self.phases: list[Phase] = []

    def phase(self, phase: Phase) -> None:
        self.phases.append(phase)

    def done(self, count: int, of: int) -> None:
        assert count <= of

    def say(self, words: str) -> None:
        assert words


def test_generated_batches_are_accepted_one_after_the_other(signer: SoftwareSigner) -> None:
    register = Register(SoftwareSigner(ec.generate_private_key(ec.SECP256R1())))
    register.apply([terminal_entry(BAY, signer.public, TerminalState.ACTIVE)])
    scribe = Scribe(BAY, signer)
    head = Head.start(scribe.journal)
    for size in (1, 20, 50):
        signed = scribe.cut(size)
        batch = verify(Incoming(BAY, signed.message), register)
        assert (batch.digest, len(batch.bodies)) == (signed.digest, size)
        judgement = judge(head, batch.statement, batch.digest, None)
        assert judgement.verdict is Verdict.ACCEPTED
        head = judgement.head
    assert head.next == 71


def test_generated_events_are_spelt_as_the_product_spells_them(signer: SoftwareSigner) -> None:
    scribe = Scribe(BAY, signer)
    for sequence, body in enumerate(scribe.bodies(1 + TAP_EVENTS)):
        event = Event.from_bytes(body)
        assert event.to_bytes() == body
        assert event.sequence == sequence


def test_a_rate_is_kept_by_events_not_by_batches(signer: SoftwareSigner) -> None:
    scribe = Scribe(BAY, signer)
    load: list[Due] = spread(scribe.batches(3, 20), 100.0)
    assert [due.due_ns for due in load] == [0, 200_000_000, 400_000_000]
    assert [due.due_ns for due in spread(scribe.batches(2, 20), 0.0)] == [0, 0]


@pytest.mark.parametrize("length", [0, 127, 128, 16_383, 16_384, 100_000])
def test_packets_come_out_as_they_went_in_however_they_are_cut(length: int) -> None:
    body = bytes(length)
    stream = packet(0x30, body) + packet(0x40, b"\x00\x01")
    buffer = bytearray()
    found = []
    for start in range(0, len(stream), 1_000):
        buffer += stream[start : start + 1_000]
        found += list(packets(buffer))
    assert found == [(0x30, body), (0x40, b"\x00\x01")]
    assert not buffer


def test_every_batch_is_receipted_counted_and_in_the_database(tmp_path: Path) -> None:
    """Through a real broker and the real gateway: nothing of it is missing, or there twice."""
    with IngestSite(tmp_path / "s", 5) as site:
        before = site.stored()
        with site.generator(5) as generator:
            answer = generator.carry(Order(batches=30, size=20, pids=site.pids))
            measured = generator.carry(Order(batches=10, size=20, rate=1_000.0))
        after = site.stored()
    assert cells.events(answer) == 600
    assert answer.verdicts["accepted"] == 30
    assert answer.signatures >= 30
    assert after["events"] - before["events"] == 800
    assert after["in_journals"] - before["in_journals"] == 800
    assert set(answer.cpu_s) == {"mosquitto", "gateway", "generator"}
    assert len(cells.latency(measured, 0.1).samples) == 5
    assert cells.sustained(answer) > 0


def test_a_round_in_one_process_counts_what_it_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(price, "STATE", tmp_path)
    watcher = Watcher()
    (cell,) = price.inside([(20, 2_000)], 2, watcher)
    assert len(cell.figure(price.RATE).samples) == 2
    assert cell.parameters["events"] == 2_000
    assert watcher.phases.count(Phase.MEASURED) == 2
    assert json.dumps(cell.counts)


@pytest.mark.full
def test_postgresql_counts_its_pages(tmp_path: Path) -> None:
    with IngestSite(tmp_path / "s", 2, on_postgres=True) as site, site.generator(2) as generator:
        before = site.database_bytes()
        answer = generator.carry(Order(batches=40, size=50, pids=site.pids))
        assert cells.events(answer) == 2_000
        assert site.database_bytes() > before + 2_000 * 400
        assert isinstance(site.postgres, Postgres)


def test_a_run_without_cells_holds_no_promise() -> None:
    for quick in (True, False):
        budgets = WORKLOAD.judge([], quick=quick)
        assert budgets
        assert not any(budget.held for budget in budgets)
    assert WORKLOAD.headlines([]) == []
    assert WORKLOAD.charts([]) == []
    assert [step.title for step in WORKLOAD.plan(quick=True)]
