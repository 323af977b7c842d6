"""Tiles against the definition of the tree (RFC 9162 §2.1), which needs no tiles."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.tree import (
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    root,
    verify_consistency,
    verify_inclusion,
)
from gateway.tiles import (
    EMPTY,
    HASH_BYTES,
    WIDTH,
    Edge,
    TileMissing,
    TileReader,
    all_tiles,
    grow,
    load_edge,
)

Tiles = dict[tuple[int, int], bytes]


def hashes(count: int, first: int = 0) -> list[bytes]:
    return [leaf_hash(b"%d" % number) for number in range(first, first + count)]


def by_definition(leaves: list[bytes]) -> bytes:
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    pair = by_definition(leaves[:split]) + by_definition(leaves[split:])
    return hashlib.sha256(b"\x01" + pair).digest()


def store(tiles: Tiles, edge: Edge, leaves: list[bytes]) -> Edge:
    """Appends, and checks that each tile is announced as new exactly when it is."""
    edge, writes = grow(edge, leaves)
    for write in writes:
        place = (write.level, write.number)
        assert write.is_new == (place not in tiles)
        assert write.hashes.startswith(tiles.get(place, b""))
        tiles[place] = write.hashes
    return edge


def fetch_from(tiles: Tiles):  # type: ignore[no-untyped-def]  # noqa: ANN201
    return lambda level, number: tiles.get((level, number), b"")


@given(st.lists(st.integers(0, 700), min_size=1, max_size=6))
def test_however_a_log_grows_its_root_is_that_of_its_leaves(steps: list[int]) -> None:
    tiles: Tiles = {}
    edge, size = EMPTY, 0
    for step in steps:
        edge = store(tiles, edge, hashes(step, size))
        size += step
    expected = by_definition(hashes(size))
    assert edge.size == size
    assert edge.root() == expected
    assert root(size, TileReader(fetch_from(tiles)).subtree) == expected
    assert load_edge(size, fetch_from(tiles)) == edge
    assert sorted((level, number) for level, number, _ in all_tiles(size)) == sorted(tiles)
    for level, number, width in all_tiles(size):
        assert len(tiles[level, number]) == width * HASH_BYTES


@given(st.integers(1, 1500), st.data())
def test_proofs_out_of_tiles_hold(size: int, data: st.DataObject) -> None:
    tiles: Tiles = {}
    leaves = hashes(size)
    edge = store(tiles, EMPTY, leaves)
    subtree = TileReader(fetch_from(tiles)).subtree
    index = data.draw(st.integers(0, size - 1))
    verify_inclusion(leaves[index], index, size, inclusion_proof(index, size, subtree), edge.root())
    old = data.draw(st.integers(0, size))
    proof = consistency_proof(old, size, subtree)
    verify_consistency(old, by_definition(leaves[:old]), size, edge.root(), proof)


def test_a_third_level_of_tiles_begins_at_65536_leaves() -> None:
    tiles: Tiles = {}
    edge = EMPTY
    for first in range(0, WIDTH * WIDTH, 4096):
        edge = store(tiles, edge, hashes(4096, first))
    assert len(tiles) == WIDTH + 1 + 1
    assert tiles[2, 0] == edge.root()
    edge = store(tiles, edge, hashes(1, WIDTH * WIDTH))
    assert edge == load_edge(WIDTH * WIDTH + 1, fetch_from(tiles))


@pytest.mark.parametrize("lost", [(0, 1), (1, 0)])
def test_a_lost_tile_is_missed(lost: tuple[int, int]) -> None:
    tiles: Tiles = {}
    edge = store(tiles, EMPTY, hashes(300))
    assert load_edge(300, fetch_from(tiles)) == edge
    tiles[lost] = tiles[lost][:-HASH_BYTES]
    with pytest.raises(TileMissing):
        load_edge(300, fetch_from(tiles))
