"""How often something may be asked: a token bucket. Pure; the time is given."""

from __future__ import annotations

from typing import Final

_S: Final = 1_000_000_000


class Pace:
    """Lets `rate` through a second, after a burst of `burst`. Monotonic ns."""

    def __init__(self, rate: float, burst: int) -> None:
        self._rate, self._burst = rate, float(burst)
        self._left = self._burst
        self._at_ns = 0

    def lets(self, now_ns: int) -> bool:
        """Whether one more may pass now."""
        gained = (now_ns - self._at_ns) / _S * self._rate if self._at_ns else 0.0
        self._left, self._at_ns = min(self._burst, self._left + gained), now_ns
        if self._left < 1:
            return False
        self._left -= 1
        return True

    @property
    def wait_s(self) -> int:
        """Whole seconds until the next one passes, one at least; from the last that asked.

        As HTTP's Retry-After says it (RFC 9110 §10.2.3).
        """
        return max(1, -int(-(1 - self._left) // self._rate))
