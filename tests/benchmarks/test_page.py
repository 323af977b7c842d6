"""The page and the README's headlines say what the record says, and nothing of this checkout."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.harness import page
from benchmarks.harness.baseline import compare, save
from tests.benchmarks.samples import FROM, OURS, RECORD, RUN, TO, Taps, slower
from tests.test_house.tree import ROOT

LARGEST = 60_000


def test_the_page_tells_figures_ends_budgets_facts_and_machine(tmp_path: Path) -> None:
    text = page.write(RUN, [Taps()], tmp_path, "## What we found\n\nIt was the disk.").read_text()
    assert "- A warm tap takes 102 ms." in text
    assert "| warm | 4 | 102 / 103 / 103 | 6.5 / 7.85 / 7.97 | 3 |" in text
    assert "| another's agent | 3 | 910 / 991 / 998 | 38 |" in text
    assert "| software p95 | 25 | 7.85 | ms | held |" in text
    assert f"- total: {FROM} → {TO}" in text
    assert "- command (another's agent): agent --sign" in text
    assert "- processor: one of two" in text
    assert "It was the disk." in text
    assert "**These are figures" not in text


def test_a_cell_with_many_counts_is_told_downwards(tmp_path: Path) -> None:
    counts = {f"count {n}": float(n) for n in range(20)}
    cell = replace(OURS, counts=counts)
    text = page.write(replace(RUN, cells=(cell,)), [Taps()], tmp_path).read_text()
    assert "|  | warm |" in text
    assert "| total, ms | 102 / 103 / 103 |" in text
    assert "| count 19 | 19 |" in text


def test_every_picture_of_the_page_is_there_small_and_not_empty(tmp_path: Path) -> None:
    text = page.write(RUN, [Taps()], tmp_path).read_text()
    pictures = sorted((tmp_path / "performance").iterdir())
    assert [path.stem for path in pictures] == [
        "scheduling",
        "taps-course",
        "taps-curves",
        "taps-strips",
    ]
    for path in pictures:
        assert f"(performance/{path.name})" in text
        assert path.stat().st_size < LARGEST
        with Image.open(path) as image:
            colours = image.convert("RGB").getcolors(1 << 16)
        assert colours is not None
        assert len(colours) > 8


def test_a_picture_that_is_no_longer_made_does_not_stay(tmp_path: Path) -> None:
    old = tmp_path / "performance" / "old.png"
    old.parent.mkdir()
    old.write_bytes(b"")
    page.write(RUN, [Taps()], tmp_path)
    assert not old.exists()


def test_a_partial_or_quick_run_says_so_on_the_page(tmp_path: Path) -> None:
    failed = replace(RECORD, title="storm", failed="WardError: no broker")
    run = replace(
        RUN, complete=False, steps=(RECORD, failed), settings={**RUN.settings, "quick": True}
    )
    text = page.write(run, [Taps()], tmp_path).read_text()
    (warning,) = [line for line in text.splitlines() if line.startswith("**")]
    assert "quick" in warning
    assert "not complete" in warning
    assert "taps: storm" in warning
    assert "WardError: no broker" in text


def test_no_path_of_this_checkout_reaches_the_page(tmp_path: Path) -> None:
    cell = replace(OURS, facts={"command": f"{ROOT}/.venv/bin/python -m peer"})
    text = page.write(replace(RUN, cells=(cell,)), [Taps()], tmp_path).read_text()
    assert "command (all): .venv/bin/python -m peer" in text


def test_the_headlines_stand_between_the_marks_and_the_rest_is_untouched(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{page.BEGIN}\nold\n{page.END}\nafter\n")
    for _ in range(2):
        page.write_headlines(RUN, [Taps()], readme)
        lines = readme.read_text().splitlines()
        assert lines == ["before", page.BEGIN, "- A warm tap takes 102 ms.", page.END, "after"]


def test_a_readme_without_a_place_is_left_as_it_is(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("nothing\n")
    with pytest.raises(page.NoPlace):
        page.write_headlines(RUN, [Taps()], readme)
    assert readme.read_text() == "nothing\n"


def test_the_repositorys_own_readme_has_the_place() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text.count(page.BEGIN) == text.count(page.END) == 1


def test_a_change_since_the_baseline_is_on_the_page(tmp_path: Path) -> None:
    save(RUN, tmp_path / "baseline.json")
    run = slower(RUN, 1.5)
    compared = compare(run, tmp_path / "baseline.json")
    text = page.write(run, [Taps()], tmp_path, compared=compared).read_text()
    assert "| taps/warm/total p50 | 102 | 152 | × 1.50 |" in text
