"""An auditor for every test of the verifier."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.verify.story import Auditor


@pytest.fixture
def auditor(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Auditor:
    return Auditor(capsys, tmp_path)
