"""The Merkle tree of RFC 9162 §2.1: hashes, proofs and their verification.

Proof generation speaks a port, `subtree(level, index)`: the hash of the complete subtree over
leaves [index·2^level, (index+1)·2^level). A store of tiles answers it; this module never holds a
tree.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence

Hash = bytes
Subtree = Callable[[int, int], Hash]

EMPTY_ROOT: Hash = hashlib.sha256(b"").digest()
# 2^53 leaves are more than any site writes; a proof is never longer than twice the height.
MAX_PROOF = 128


class ProofRefused(Exception):
    """A proof that does not hold, or sizes and indexes that cannot be."""


def leaf_hash(leaf: bytes) -> Hash:
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: Hash, right: Hash) -> Hash:
    return hashlib.sha256(b"\x01" + left + right).digest()


def _cover(start: int, end: int) -> Iterator[tuple[int, int]]:
    """The complete subtrees (level, index) that cover leaves [start, end), left to right.

    `start` aligned to its size.
    """
    while start < end:
        level = (end - start).bit_length() - 1
        if start:
            level = min(level, (start & -start).bit_length() - 1)
        yield level, start >> level
        start += 1 << level


def range_hash(start: int, end: int, subtree: Subtree) -> Hash:
    """MTH(D[start:end]) where `start` is aligned to the next power of two ≥ end − start."""
    hashes = [subtree(level, index) for level, index in _cover(start, end)]
    result = hashes.pop()
    while hashes:
        result = node_hash(hashes.pop(), result)
    return result


def root(size: int, subtree: Subtree) -> Hash:
    """MTH(D[0:size]); §2.1.1."""
    return range_hash(0, size, subtree) if size else EMPTY_ROOT


def _split(size: int) -> int:
    """The largest power of two smaller than `size`."""
    return 1 << (size - 1).bit_length() - 1


def inclusion_proof(index: int, size: int, subtree: Subtree) -> tuple[Hash, ...]:
    """PATH(index, D[0:size]); §2.1.3.1. Raises ProofRefused when index is not below size."""
    if not 0 <= index < size:
        raise ProofRefused("no such leaf in a tree of that size")
    path: list[Hash] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(range_hash(middle, end, subtree))
            end = middle
        else:
            path.append(range_hash(start, middle, subtree))
            start = middle
    return tuple(reversed(path))


def consistency_proof(old: int, new: int, subtree: Subtree) -> tuple[Hash, ...]:
    """PROOF(old, D[0:new]); §2.1.4.1.

    Empty for old = 0 or old = new. Raises ProofRefused when old > new.
    """
    if not 0 <= old <= new:
        raise ProofRefused("a tree does not shrink")
    if old in (0, new):
        return ()
    path: list[Hash] = []
    start, end, whole = 0, new, True
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            path.append(range_hash(middle, end, subtree))
            end = middle
        else:
            path.append(range_hash(start, middle, subtree))
            start, whole = middle, False
    if not whole:
        path.append(range_hash(start, end, subtree))
    return tuple(reversed(path))


def verify_inclusion(
    leaf: Hash, index: int, size: int, proof: Sequence[Hash], root_hash: Hash
) -> None:
    """§2.1.3.2. `leaf` is the leaf's hash. Raises ProofRefused."""
    if not 0 <= index < size:
        raise ProofRefused("no such leaf in a tree of that size")
    fn, sn, result = index, size - 1, leaf
    for step in proof:
        if sn == 0:
            raise ProofRefused("proof is too long")
        if fn & 1 or fn == sn:
            result = node_hash(step, result)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            result = node_hash(result, step)
        fn, sn = fn >> 1, sn >> 1
    if sn or result != root_hash:
        raise ProofRefused("leaf is not proven to be in the log")


def verify_consistency(
    old: int, old_root: Hash, new: int, new_root: Hash, proof: Sequence[Hash]
) -> None:
    """§2.1.4.2. Raises ProofRefused unless the tree of `new` leaves continues the one of `old`."""
    if not 0 <= old <= new:
        raise ProofRefused("a tree does not shrink")
    if old in (0, new):
        if proof or (old == new and old_root != new_root) or (old == 0 and old_root != EMPTY_ROOT):
            raise ProofRefused("the log was rewritten")
        return
    path = list(proof) if old & (old - 1) else [old_root, *proof]
    if not path:
        raise ProofRefused("proof is too short")
    fn, sn = old - 1, new - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    first = second = path[0]
    for step in path[1:]:
        if sn == 0:
            raise ProofRefused("proof is too long")
        if fn & 1 or fn == sn:
            first, second = node_hash(step, first), node_hash(step, second)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            second = node_hash(second, step)
        fn, sn = fn >> 1, sn >> 1
    if sn or first != old_root or second != new_root:
        raise ProofRefused("the log was rewritten")
