"""Checkpoints: each continues the one before, and every leaf can be proven to be in it."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract.checkpoint import Checkpoint, CheckpointMessage, open_checkpoint
from contract.tree import leaf_hash, verify_consistency, verify_inclusion
from contract.wire import decode_base64
from gateway.evidence.checkpoints import Checkpoints, NoSuchSize
from tests.gateway.conftest import World
from tests.gateway.identities import SITE, Scribe
from tests.gateway.test_evidence import Stranger, cut, rulings_of


@pytest.fixture
def checkpoints(world: World) -> Checkpoints:
    return Checkpoints(world.store, world.evidence.log, world.authority)


def opened(world: World, message: CheckpointMessage) -> Checkpoint:
    return open_checkpoint(message.note, SITE, 1, world.identity.log.public)


def continues(old: Checkpoint, new: Checkpoint, message: CheckpointMessage) -> None:
    proof = [decode_base64(each) for each in message.consistency]
    verify_consistency(old.size, old.root, new.size, new.root, proof)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=10)
@given(st.lists(st.integers(1, 30), min_size=2, max_size=8))
def test_each_published_checkpoint_proves_that_it_continues_the_last(
    world: World, counts: list[int]
) -> None:
    checkpoints = Checkpoints(world.store, world.evidence.log, world.authority)
    held = opened(world, checkpoints.advance(1).message)
    scribe = Scribe("bay-1")
    for count in counts:
        rulings_of(world, *(cut(scribe, 1) for _ in range(count)))
        message = checkpoints.advance(2).message
        newest = opened(world, message)
        assert (message.since, newest.size) == (held.size, held.size + count)
        continues(held, newest, message)
        held = newest
    leaves = Stranger(world.database).leaves
    proofs = checkpoints.inclusion(held.size, range(held.size))
    for index, (leaf, proof) in enumerate(zip(leaves, proofs, strict=True)):
        assert proof is not None
        verify_inclusion(leaf_hash(leaf), index, held.size, proof, held.root)


def test_a_log_that_has_not_grown_is_not_signed_again(
    world: World, checkpoints: Checkpoints
) -> None:
    first = checkpoints.advance(1)
    assert checkpoints.advance(2) == first
    world.reopen()
    size = world.evidence.log.edge().size
    again = Checkpoints(world.store, world.evidence.log, world.authority)
    assert again.advance(3).checkpoint.size == size == first.checkpoint.size + 1


def test_one_who_held_any_older_checkpoint_is_led_to_the_newest(
    world: World, checkpoints: Checkpoints
) -> None:
    held = [opened(world, checkpoints.advance(1).message)]
    scribe = Scribe("bay-1")
    for _ in range(9):
        rulings_of(world, *(cut(scribe, 1) for _ in range(37)))
        held.append(opened(world, checkpoints.advance(1).message))
    for old in held:
        message = checkpoints.since(old.size)
        continues(old, opened(world, message), message)
    continues(held[0], held[-1], checkpoints.since(held[0].size))


def test_there_is_no_proof_about_a_log_that_is_larger_than_ours(
    world: World, checkpoints: Checkpoints
) -> None:
    size = checkpoints.advance(1).checkpoint.size
    with pytest.raises(NoSuchSize):
        checkpoints.since(size + 1)
    with pytest.raises(NoSuchSize):
        checkpoints.inclusion(size + 1, [0])
    assert checkpoints.inclusion(size, [size]) == [None]
