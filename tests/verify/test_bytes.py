"""Change any one byte, or any one file, and the evidence is refused."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

import tapover_verify
from tests.verify.story import Auditor, honest_ward

SAMPLE: Final = 400


def files(export: Path) -> list[Path]:
    return sorted(path for path in export.rglob("*") if path.is_file())


class Exported:
    def __init__(self, folder: Path) -> None:
        self.site = honest_ward().site
        self.folder = self.site.write(folder)

    def verdict(self) -> int:
        return tapover_verify.main([str(self.folder), "--root", self.site.fingerprint])

    def accepted_changes(self, places: Iterator[tuple[Path, int, int]]) -> list[str]:
        """Which of these changes (file, offset, other bits) were not refused."""
        accepted = []
        for path, offset, bits in places:
            whole = path.read_bytes()
            changed = bytes([whole[offset] ^ bits])
            path.write_bytes(whole[:offset] + changed + whole[offset + 1 :])
            if self.verdict() != 1:
                accepted.append(f"{path.relative_to(self.folder)}[{offset}] ^ {bits}")
            path.write_bytes(whole)
        assert self.verdict() == 0, "the export is no longer what it was"
        return accepted


@pytest.fixture
def exported(tmp_path: Path) -> Exported:
    return Exported(tmp_path / "export")


def test_any_one_byte_changed_in_a_sample_is_refused(exported: Exported) -> None:
    luck = random.Random(seed := random.randrange(2**32))
    print("seed", seed)
    every = [(path, at) for path in files(exported.folder) for at in range(path.stat().st_size)]
    places = ((path, at, luck.randrange(1, 256)) for path, at in luck.sample(every, SAMPLE))
    assert exported.accepted_changes(places) == []


def test_any_one_byte_of_the_checkpoint_changed_is_refused(exported: Exported) -> None:
    note = exported.folder / "checkpoint"
    bits = (1, 0x20, 0x80)
    places = ((note, at, flip) for at in range(note.stat().st_size) for flip in bits)
    assert exported.accepted_changes(places) == []


@pytest.mark.full
@pytest.mark.timeout(1200)
def test_any_one_byte_changed_is_refused(exported: Exported) -> None:
    places = (
        (path, at, bits)
        for path in files(exported.folder)
        for at in range(path.stat().st_size)
        for bits in (1, 0x20)
    )
    assert exported.accepted_changes(places) == []


def test_any_file_removed_emptied_cut_or_grown_is_refused(exported: Exported) -> None:
    for path in files(exported.folder):
        whole = path.read_bytes()
        for damage in (None, b"", whole[:-1], whole[1:], whole + b"\n", whole + whole):
            path.unlink()
            if damage is not None:
                path.write_bytes(damage)
            assert exported.verdict() == 1, (path, damage)
            path.write_bytes(whole)
    assert exported.verdict() == 0


@pytest.mark.parametrize(
    "name", ["extra", ".DS_Store", "tile/0/001", "tile/1/000.p/1", "tile/0/000.p/12", "tile/x"]
)
def test_a_file_that_does_not_belong_is_refused(exported: Exported, name: str) -> None:
    path = exported.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    assert exported.verdict() == 1


def test_an_empty_folder_that_does_not_belong_is_refused(exported: Exported) -> None:
    (exported.folder / "notes").mkdir()
    assert exported.verdict() == 1


def test_a_link_is_refused_even_to_the_right_bytes(exported: Exported, tmp_path: Path) -> None:
    bodies = exported.folder / "bodies"
    bodies.rename(tmp_path / "elsewhere")
    bodies.symlink_to(tmp_path / "elsewhere")
    assert exported.verdict() == 1


def test_one_body_left_out_is_refused(auditor: Auditor) -> None:
    site = honest_ward().site
    for name, body in list(site.bodies.items()):
        del site.bodies[name]
        assert auditor.judge(site).exit == 1, body
        site.bodies[name] = body
    auditor.accepts(site)


def test_a_body_that_stands_twice_or_that_nobody_named_is_refused(auditor: Auditor) -> None:
    ward = honest_ward()
    one = next(iter(ward.site.bodies.values()))
    ward.site.bodies[b"again"] = one
    auditor.refuses(ward.site, "a body that stands twice")
    ward.site.bodies[b"again"] = b'{"type":"tapover/event/v1"}'
    auditor.refuses(ward.site, "a body that no statement names")
