"""Judging and keeping, on real SQLite; after every step a checker reads the whole world again."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from contract.events import Event, JournalOpened
from contract.ids import Digest, TerminalId
from contract.journal import (
    BatchStatement,
    Head,
    Receipt,
    Verdict,
    chain_over,
    chain_start,
    split_lines,
)
from contract.signing import Envelope, sha256
from contract.tree import leaf_hash
from gateway.evidence.journal import Batch
from gateway.evidence.keeping import MAX_FORKS_KEPT, NotItsJournal, Ruling
from gateway.store import StoreFailed
from tests.gateway.conftest import World
from tests.gateway.identities import Scribe
from tests.gateway.test_tiles import by_definition


def cut(scribe: Scribe, count: int = 3) -> Batch:
    statement, envelope, bodies = scribe.cut(scribe.some(count))
    return Batch(statement, envelope.digest, envelope.to_bytes(), bodies)


def rulings_of(world: World, *batches: Batch) -> list[Ruling]:
    rulings = world.evidence.append(batches, world.now)
    assert all(isinstance(ruling, Ruling) for ruling in rulings)
    return [ruling for ruling in rulings if isinstance(ruling, Ruling)]


class Stranger:
    """Reads everything out of the tables with SQL of its own, and checks that it fits."""

    def __init__(self, database: Path) -> None:
        engine = sa.create_engine(f"sqlite:///{database}")
        with engine.connect() as connection:

            def rows(sql: str) -> list[tuple[Any, ...]]:
                return [tuple(row) for row in connection.execute(sa.text(sql))]

            leaves = rows("SELECT leaf, envelope FROM leaves ORDER BY leaf")
            self.events: dict[int, bytes] = {
                number: bytes(body) for number, body in rows("SELECT id, body FROM events")
            }
            self.batches = {row[:2]: row[2:] for row in rows("SELECT * FROM batches")}
            self.journals = {row[0]: row[1:] for row in rows("SELECT * FROM journals")}
            self.forks = {row[0]: bytes(row[-1]) for row in rows("SELECT * FROM forks")}
        engine.dispose()
        assert [leaf for leaf, _ in leaves] == list(range(len(leaves)))
        self.leaves = [bytes(envelope) for _, envelope in leaves]

    def check(self) -> None:
        heads: dict[str, tuple[str, int, Digest]] = {}
        bodies = 0
        for leaf, line in enumerate(self.leaves):
            envelope = Envelope.from_bytes(line)
            if "batch" not in envelope.payloadType:
                continue
            batch = BatchStatement.from_bytes(_payload(envelope))
            start = (batch.terminal, 0, chain_start(batch.journal))
            terminal, next_, chain = heads.get(batch.journal, start)
            assert (batch.terminal, batch.first, batch.previous) == (terminal, next_, chain)
            heads[batch.journal] = (terminal, batch.next, batch.head)
            assert self.batches[batch.journal, batch.first] == (envelope.digest, leaf)
            for position, digest in enumerate(batch.events):
                assert sha256(self.events[leaf * 64 + position]) == digest
            bodies += len(batch.events)
        assert bodies == len(self.events)
        assert heads == {str(journal): row for journal, row in self.journals.items()}
        assert len(self.batches) == sum(b"vnd.tapover.batch" in leaf for leaf in self.leaves)


def _payload(envelope: Envelope) -> bytes:
    return base64.b64decode(envelope.payload)


@contextmanager
def failing(world: World, when: str) -> Iterator[None]:
    """The next commit fails: `before` it, so that nothing is there, or `after`, so that all is."""
    state = {"armed": True}

    def commit(connection: Any) -> None:  # noqa: ANN401 - the driver's own
        if not state["armed"]:
            world.store.engine.dialect.__class__.do_commit(world.store.engine.dialect, connection)
            return
        state["armed"] = False
        if when == "after":
            connection.commit()
            raise sa.exc.OperationalError("COMMIT", {}, OSError("the answer was lost"))
        connection.rollback()
        raise sa.exc.OperationalError("COMMIT", {}, OSError("disk full"))

    world.store.engine.dialect.do_commit = commit  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        del world.store.engine.dialect.do_commit


class EvidenceMachine(RuleBasedStateMachine):
    """Terminals that cut, resend, jump ahead and fork; a gateway that fails and restarts."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="tap-")
        self.world = World(Path(self.folder.name))
        self.scribes = [Scribe("bay-1"), Scribe("bay-1"), Scribe("bay-2")]
        self.sent: dict[str, list[Batch]] = {scribe.journal: [] for scribe in self.scribes}
        self.leaf_of: dict[str, int] = {}
        self.forked: set[str] = set()

    def teardown(self) -> None:
        self.world.close()
        self.folder.cleanup()

    @rule(who=st.integers(0, 2), sizes=st.lists(st.integers(1, 5), min_size=1, max_size=6))
    def new_batches_are_accepted_in_one_go(self, who: int, sizes: list[int]) -> None:
        scribe = self.scribes[who]
        batches = [cut(scribe, size) for size in sizes]
        for batch, ruling in zip(batches, rulings_of(self.world, *batches), strict=True):
            assert (ruling.verdict, ruling.next) == (Verdict.ACCEPTED, batch.statement.next)
            assert ruling.leaf is not None
            self.leaf_of[batch.digest] = ruling.leaf
        self.sent[scribe.journal] += batches

    @precondition(lambda self: any(self.sent.values()))
    @rule(data=st.data())
    def what_is_resent_gets_its_own_leaf_again(self, data: st.DataObject) -> None:
        everything = [batch for batches in self.sent.values() for batch in batches]
        batch = data.draw(st.sampled_from(everything))
        (ruling,) = rulings_of(self.world, batch)
        assert (ruling.verdict, ruling.leaf) == (Verdict.DUPLICATE, self.leaf_of[batch.digest])

    @rule(who=st.integers(0, 2))
    def a_gap_is_told_what_is_wanted_and_then_filled(self, who: int) -> None:
        scribe = self.scribes[who]
        wanted = scribe.next
        early, late = cut(scribe), cut(scribe)
        (ruling,) = rulings_of(self.world, late)
        assert (ruling.verdict, ruling.next, ruling.leaf) == (Verdict.GAP, wanted, None)
        first, second = rulings_of(self.world, early, late)
        assert first.verdict == second.verdict == Verdict.ACCEPTED
        assert first.leaf is not None
        assert second.leaf == first.leaf + 1
        self.leaf_of |= {early.digest: first.leaf, late.digest: second.leaf}
        self.sent[scribe.journal] += [early, late]

    @rule(who=st.integers(0, 2), repeat=st.booleans())
    def another_history_is_a_fork_and_kept_apart(self, who: int, *, repeat: bool) -> None:
        scribe = self.scribes[who]
        if not self.sent[scribe.journal]:
            return
        liar = Scribe(scribe.terminal, scribe.signer)
        liar.journal, liar.chain = scribe.journal, chain_start(scribe.journal)
        other = cut(liar)
        rulings = rulings_of(self.world, *[other] * (2 if repeat else 1))
        assert {(ruling.verdict, ruling.leaf) for ruling in rulings} == {(Verdict.FORK, None)}
        self.forked.add(other.digest)

    @rule(who=st.integers(0, 2), when=st.sampled_from(["before", "after"]))
    def a_commit_that_fails_is_neither_lost_nor_doubled(self, who: int, when: str) -> None:
        scribe = self.scribes[who]
        batch = cut(scribe)
        with failing(self.world, when), pytest.raises(StoreFailed):
            self.world.evidence.append([batch], self.world.now)
        (ruling,) = rulings_of(self.world, batch)
        expected = Verdict.ACCEPTED if when == "before" else Verdict.DUPLICATE
        assert ruling.verdict is expected
        assert ruling.leaf is not None
        self.leaf_of[batch.digest] = ruling.leaf
        self.sent[scribe.journal].append(batch)

    @rule()
    def restart(self) -> None:
        self.world.reopen()

    @invariant()
    def everything_on_the_disk_fits(self) -> None:
        stranger = Stranger(self.world.database)
        stranger.check()
        edge = self.world.evidence.log.edge()
        assert edge.root() == by_definition([leaf_hash(leaf) for leaf in stranger.leaves])
        assert set(stranger.forks) == self.forked
        for batches in self.sent.values():
            for batch in batches:
                assert stranger.leaves[self.leaf_of[batch.digest]] == batch.line
        own = {journal for journal, row in stranger.journals.items() if row[0] == "gateway"}
        assert len(own) == 1


TestEvidence = EvidenceMachine.TestCase
TestEvidence.settings = settings(max_examples=15, stateful_step_count=12)


class _AtLength(EvidenceMachine):
    """The same, for longer."""


TestEvidenceAtLength = pytest.mark.full(pytest.mark.timeout(400)(_AtLength.TestCase))
TestEvidenceAtLength.settings = settings(max_examples=150, stateful_step_count=40)


def test_leaf_0_is_the_key_statement_and_the_gateways_journal_begins_behind_it(
    world: World,
) -> None:
    stranger = Stranger(world.database)
    assert stranger.leaves[0] == world.authority.keys_envelope.to_bytes()
    first = Event.from_bytes(stranger.events[64])
    assert (first.terminal, first.sequence) == ("gateway", 0)
    assert isinstance(first.detail, JournalOpened)
    own = BatchStatement.open(
        Envelope.from_bytes(stranger.leaves[1]), world.identity.statement.public
    )
    assert own.first == 0


def test_a_receipt_is_signed_by_the_log_key_and_names_leaf_and_batch(world: World) -> None:
    batch = cut(Scribe("bay-1"))
    (ruling,) = rulings_of(world, batch)
    receipt = Receipt.open(world.evidence.receipt(ruling), world.identity.log.public)
    assert receipt == Receipt(
        site=world.identity.keys.site,
        epoch=1,
        terminal=TerminalId("bay-1"),
        journal=batch.statement.journal,
        verdict=Verdict.ACCEPTED,
        batch=batch.digest,
        next=3,
        leaf=ruling.leaf,
    )


def test_nobody_continues_another_terminals_journal(world: World) -> None:
    scribe = Scribe("bay-1")
    rulings_of(world, cut(scribe))
    before = Stranger(world.database).leaves
    thief = Scribe("bay-2")
    thief.journal, thief.next, thief.chain = scribe.journal, scribe.next, scribe.chain
    stolen = cut(thief)
    assert world.evidence.append([stolen], world.now) == [NotItsJournal(stolen)]
    assert Stranger(world.database).leaves == before


def test_a_batch_out_of_place_makes_no_journal_its_senders(world: World) -> None:
    scribe, thief = Scribe("bay-1"), Scribe("bay-2")
    thief.journal, thief.next = scribe.journal, 7
    gap, begun = world.evidence.append([cut(thief), cut(scribe)], world.now)
    assert isinstance(gap, Ruling)
    assert gap.verdict is Verdict.GAP
    assert isinstance(begun, Ruling)
    assert begun.verdict is Verdict.ACCEPTED


def test_a_fork_is_flagged_in_the_gateways_own_journal_once(world: World) -> None:
    scribe = Scribe("bay-1")
    rulings_of(world, cut(scribe))
    liar = Scribe("bay-1", scribe.signer)
    liar.journal, liar.chain = scribe.journal, chain_start(scribe.journal)
    other = cut(liar)
    for _ in range(3):
        rulings_of(world, other)
    stranger = Stranger(world.database)
    alarms = [body for body in stranger.events.values() if b"journal-forked" in body]
    assert len(alarms) == 1
    assert other.digest.encode() in alarms[0]
    (kept,) = stranger.forks.values()
    envelope, bodies = split_lines(kept, 100_000)
    assert (envelope.digest, bodies) == (other.digest, other.bodies)


def test_a_terminal_that_forks_for_ever_fills_no_disk(world: World) -> None:
    scribe = Scribe("bay-1")
    rulings_of(world, cut(scribe))
    for _ in range(MAX_FORKS_KEPT + 5):
        liar = Scribe("bay-1", scribe.signer)
        liar.journal, liar.chain = scribe.journal, chain_start(scribe.journal)
        (ruling,) = rulings_of(world, cut(liar))
        assert ruling.verdict is Verdict.FORK
    assert len(Stranger(world.database).forks) == MAX_FORKS_KEPT


@pytest.mark.parametrize("count", [1, 20])
def test_twenty_batches_cost_no_more_statements_than_one(world: World, count: int) -> None:
    scribe = Scribe("bay-1")
    rulings_of(world, cut(scribe))
    batches = [cut(scribe, 20) for _ in range(count)]
    seen: list[str] = []

    def note(*arguments: object) -> None:
        seen.append(str(arguments[2]).split()[0])

    def committed(_connection: object) -> None:
        seen.append("COMMIT")

    sa.event.listen(world.store.engine, "before_cursor_execute", note)
    sa.event.listen(world.store.engine, "commit", committed)
    rulings_of(world, *batches)
    # The heads; leaves, a tile that grows, bodies, batches; the heads again.
    assert seen == [
        *("BEGIN", "SELECT", "INSERT", "UPDATE", "INSERT", "INSERT", "UPDATE", "COMMIT")
    ]


def test_heads_continue_the_chain_of_their_events(world: World) -> None:
    scribe = Scribe("bay-1")
    batches = [cut(scribe) for _ in range(4)]
    rulings_of(world, *batches)
    with world.store.read() as tx:
        row = tx.journals.heads([scribe.journal])[scribe.journal]
    digests = [digest for batch in batches for digest in batch.statement.events]
    assert row.head == Head(12, chain_over(chain_start(scribe.journal), digests))
