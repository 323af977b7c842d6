"""The page as set-up built it: whole, small, from here alone; and said plainly where it is not."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from firmware_py.kiosk.assets import BUILT, MAX_PAGE_BYTES, PATHS, AssetsMissing, read_assets
from firmware_py.kiosk.guard import OPEN_PATHS
from runtime.settings import StartError
from tests.test_house.tree import ROOT

ELSEWHERE = re.compile(rb"https?://(?!www\.w3\.org/2000/svg)[\w.-]+")


def test_what_is_served_was_built_from_these_sources() -> None:
    built = subprocess.run(
        [str(ROOT / "scripts" / "build-page"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr


def test_the_page_is_small_and_asks_nobody_elsewhere() -> None:
    assets = read_assets()
    assert set(assets) == set(PATHS) == OPEN_PATHS
    assert sum(len(asset.body) for asset in assets.values()) <= MAX_PAGE_BYTES
    for path, asset in assets.items():
        assert ELSEWHERE.findall(asset.body) == [], path
        assert b"@import" not in asset.body
        assert b"url(" not in asset.body


def test_the_page_has_nothing_inline_that_its_policy_would_forbid() -> None:
    page = read_assets()["/"].body.decode()
    assert not re.search(r"<script(?![^>]*\ssrc=)", page)
    assert "<style" not in page
    assert not re.search(r"\s(style|on\w+)=", page)


@pytest.mark.parametrize("missing", sorted(name for name, _ in PATHS.values()))
def test_a_page_that_was_not_built_ends_the_start_with_the_command(
    tmp_path: Path, missing: str
) -> None:
    for name, _ in PATHS.values():
        (tmp_path / name).write_bytes((BUILT / name).read_bytes())
    (tmp_path / missing).unlink()
    with pytest.raises(AssetsMissing, match="make setup") as caught:
        read_assets(tmp_path)
    assert missing in str(caught.value)
    assert isinstance(caught.value, StartError), "said in one line, without a traceback"
