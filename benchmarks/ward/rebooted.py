"""The terminal's daemon as after a power cut: another boot id, and a clock chip or none.

``python -m benchmarks.ward.rebooted BOOT_ID_FILE --settings FILE [--rtc]``, by the daemon's own
composition root. A machine that runs tests cannot be rebooted for them; its monotonic time goes on,
which is the harder case for whoever must not believe readings of another boot.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from pathlib import Path

from firmware_py.__main__ import begin_lean
from runtime import logs
from runtime.clock import SystemClock
from runtime.settings import load, run_main


def main() -> None:
    """Run the daemon."""
    begin_lean()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("boot_id", type=Path)
    parser.add_argument("--settings", type=Path, required=True)
    parser.add_argument("--rtc", action="store_true", help="there is a clock chip, and it is right")
    asked = parser.parse_args()
    run_main(lambda: _run(asked.settings, asked.boot_id, rtc=asked.rtc), "tapover-terminal")


def _run(path: Path, boot_id: Path, *, rtc: bool) -> None:
    # After `begin_lean`, which begins anew: nothing is imported twice for it.
    from firmware_py.app import build  # noqa: PLC0415
    from firmware_py.settings import Settings  # noqa: PLC0415

    settings = load(Settings, path, os.environ)
    logs.set_up(settings.log_level)
    clock = SystemClock(boot_id)
    app = build(settings, clock=clock, rtc_ms=clock.wall_ms if rtc else lambda: None)
    asyncio.run(app.run())


if __name__ == "__main__":
    main()
