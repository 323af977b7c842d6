"""Every proof of RFC 9162 holds for its own tree, and for no other."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract import tree

SIZES = st.integers(1, 70)
LEAVES = [tree.leaf_hash(b"leaf %d" % n) for n in range(80)]


def subtree(level: int, index: int) -> bytes:
    """The hash of a complete subtree, computed from the leaves."""
    if level == 0:
        return LEAVES[index]
    return tree.node_hash(subtree(level - 1, 2 * index), subtree(level - 1, 2 * index + 1))


def naive_root(hashes: list[bytes]) -> bytes:
    """MTH as §2.1.1 writes it down."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    left, right = naive_root(hashes[:split]), naive_root(hashes[split:])
    return hashlib.sha256(b"\x01" + left + right).digest()


@pytest.mark.parametrize("size", [*range(18), 33, 64, 65, 80])
def test_the_root_is_the_standards(size: int) -> None:
    assert tree.root(size, subtree) == naive_root(LEAVES[:size])


@given(SIZES, st.data())
def test_every_leaf_can_be_proven(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    proof = tree.inclusion_proof(index, size, subtree)
    tree.verify_inclusion(LEAVES[index], index, size, proof, tree.root(size, subtree))


@given(SIZES, st.data())
def test_a_leaf_is_proven_at_its_own_place_only(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    other = data.draw(st.integers(0, size).filter(lambda n: n != index))
    proof = tree.inclusion_proof(index, size, subtree)
    with pytest.raises(tree.ProofRefused):
        tree.verify_inclusion(LEAVES[index], other, size, proof, tree.root(size, subtree))


@given(SIZES, st.data())
def test_a_grown_log_is_proven_to_continue_the_old(new: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(0, new))
    proof = tree.consistency_proof(old, new, subtree)
    tree.verify_consistency(old, tree.root(old, subtree), new, tree.root(new, subtree), proof)


@given(SIZES, st.data())
def test_a_rewritten_log_is_refused(new: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, new))
    proof = tree.consistency_proof(old, new, subtree)
    forged = hashlib.sha256(b"another history").digest()
    with pytest.raises(tree.ProofRefused):
        tree.verify_consistency(old, forged, new, tree.root(new, subtree), proof)
    with pytest.raises(tree.ProofRefused):
        tree.verify_consistency(old, tree.root(old, subtree), new, forged, proof)


@given(SIZES, st.lists(st.binary(min_size=32, max_size=32), max_size=8), st.data())
def test_a_made_up_proof_is_refused(size: int, proof: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    honest = list(tree.inclusion_proof(index, size, subtree))
    if proof != honest:
        with pytest.raises(tree.ProofRefused):
            tree.verify_inclusion(LEAVES[index], index, size, proof, tree.root(size, subtree))


@pytest.mark.parametrize(("old", "new"), [(3, 2), (-1, 2)])
def test_a_log_does_not_shrink(old: int, new: int) -> None:
    with pytest.raises(tree.ProofRefused):
        tree.consistency_proof(old, new, subtree)
    with pytest.raises(tree.ProofRefused):
        tree.verify_consistency(old, b"", new, b"", ())
