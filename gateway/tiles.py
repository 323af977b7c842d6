"""The log's Merkle tree (RFC 9162 §2.1) in tiles of 256 hashes, as C2SP tlog-tiles cuts it.

Tile (level L, number N) holds the hashes of the complete subtrees of 256^L leaves, numbers 256·N
and following. Pure: an `Edge` is what must be known to append (the tile of each level that is not
full yet), `grow` says which tiles to write, and `TileReader` answers `contract.tree`'s port from a
function that fetches tiles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from contract.tree import Hash, node_hash, root

HEIGHT: Final = 8
WIDTH: Final = 1 << HEIGHT
HASH_BYTES: Final = 32
_FULL: Final = WIDTH * HASH_BYTES

FetchTile = Callable[[int, int], bytes]
"""(level, number) → the hashes of that tile as far as it is filled."""


class TileMissing(Exception):
    """A tile that the log's size promises is not there or too short: the database is damaged."""

    def __init__(self, level: int, number: int) -> None:
        self.level = level
        self.number = number
        super().__init__(f"tile {level}/{number} is missing or too short")


@dataclass(frozen=True, slots=True)
class TileWrite:
    """A tile as it is to be stored; `is_new` if no shorter form of it is stored yet."""

    level: int
    number: int
    hashes: bytes
    is_new: bool


@dataclass(frozen=True, slots=True)
class Edge:
    """The right edge of a log: its size, and of each level the hashes that fill no tile yet."""

    size: int
    partial: tuple[bytes, ...]

    def root(self) -> Hash:
        """The root over all leaves: what it is made of lies in the tiles of the edge."""
        return root(self.size, TileReader(self._fetch).subtree)

    def _fetch(self, level: int, number: int) -> bytes:
        if number != self.size >> HEIGHT * (level + 1):
            raise TileMissing(level, number)
        return self.partial[level]


EMPTY: Final = Edge(0, ())


def edge_tiles(size: int) -> Iterator[tuple[int, int, int]]:
    """(level, number, width) of each level's last tile; width 0 where that one is still empty."""
    level = 0
    while size >> HEIGHT * level:
        count = size >> HEIGHT * level
        yield level, count >> HEIGHT, count & WIDTH - 1
        level += 1


def all_tiles(size: int) -> Iterator[tuple[int, int, int]]:
    """(level, number, width) of every tile of a log, level by level."""
    for level, last, width in edge_tiles(size):
        for number in range(last):
            yield level, number, WIDTH
        if width:
            yield level, last, width


def load_edge(size: int, fetch: FetchTile) -> Edge:
    """The edge of a stored log. Raises TileMissing."""
    partial = []
    for level, number, width in edge_tiles(size):
        hashes = fetch(level, number)[: width * HASH_BYTES] if width else b""
        if len(hashes) != width * HASH_BYTES:
            raise TileMissing(level, number)
        partial.append(hashes)
    return Edge(size, tuple(partial))


def grow(edge: Edge, leaf_hashes: Sequence[Hash]) -> tuple[Edge, list[TileWrite]]:
    """The edge with these leaves appended, and the tiles that differ from those stored."""
    writes: list[TileWrite] = []
    partial: list[bytes] = []
    fresh: Iterable[Hash] = leaf_hashes
    level = 0
    while fresh or level < len(edge.partial):
        before = edge.partial[level] if level < len(edge.partial) else b""
        number = edge.size >> HEIGHT * (level + 1)
        added = b"".join(fresh)
        hashes = before + added
        parents: list[Hash] = []
        for start in range(0, len(hashes) if added else 0, _FULL):
            tile = hashes[start : start + _FULL]
            writes.append(TileWrite(level, number, tile, is_new=start > 0 or not before))
            if len(tile) == _FULL:
                number += 1
                parents.append(_tile_root(tile))
        partial.append(hashes[len(parents) * _FULL :])
        fresh = parents
        level += 1
    return Edge(edge.size + len(leaf_hashes), tuple(partial)), writes


def _tile_root(tile: bytes) -> Hash:
    row = [tile[i : i + HASH_BYTES] for i in range(0, len(tile), HASH_BYTES)]
    while len(row) > 1:
        row = [node_hash(row[i], row[i + 1]) for i in range(0, len(row), 2)]
    return row[0]


class TileReader:
    """Hashes of complete subtrees out of tiles; it remembers what it fetched: one a reading."""

    def __init__(self, fetch: FetchTile) -> None:
        self._fetch = fetch
        self._tiles: dict[tuple[int, int], bytes] = {}
        self._nodes: dict[tuple[int, int], Hash] = {}

    def subtree(self, level: int, index: int) -> Hash:
        """`contract.tree.Subtree`. Raises TileMissing."""
        tile_level, above = divmod(level, HEIGHT)
        if not above:
            return self._entry(tile_level, index)
        known = self._nodes.get((level, index))
        if known is None:
            known = node_hash(
                self.subtree(level - 1, 2 * index), self.subtree(level - 1, 2 * index + 1)
            )
            self._nodes[level, index] = known
        return known

    def _entry(self, level: int, index: int) -> Hash:
        number, place = divmod(index, WIDTH)
        tile = self._tiles.get((level, number))
        if tile is None:
            tile = self._tiles[level, number] = self._fetch(level, number)
        hashed = tile[place * HASH_BYTES : (place + 1) * HASH_BYTES]
        if len(hashed) != HASH_BYTES:
            raise TileMissing(level, number)
        return hashed
