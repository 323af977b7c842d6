"""How often and how much at once: what a listener refuses with 429, in words, and when to return.

Buckets, not windows: whoever was quiet may send a burst. The numbers stand where they are used.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from fastapi import HTTPException

from runtime.clock import Clock

_NS: Final = 1_000_000_000
# Callers remembered at once; the one heard longest ago is forgotten, and begins with a full bucket.
_REMEMBERED: Final = 4_096


@dataclass(frozen=True, slots=True)
class Rate:
    """So many a second in the long run, and so many in one burst."""

    a_second: float
    burst: int


class Buckets:
    """One bucket a caller. For one event loop."""

    def __init__(self, rate: Rate, clock: Clock) -> None:
        self._rate = rate
        self._clock = clock
        self._left: OrderedDict[Hashable, tuple[float, int]] = OrderedDict()

    def wait_s(self, caller: Hashable) -> int:
        """Whole seconds until the caller may ask again; 0: now."""
        left = self._now(caller)
        return 0 if left >= 1 else max(1, math.ceil((1 - left) / self._rate.a_second))

    def take(self, caller: Hashable) -> None:
        """Counts a request of the caller's."""
        left = self._now(caller)
        self._left[caller] = (max(0.0, left - 1), self._clock.monotonic_ns())
        self._left.move_to_end(caller)
        if len(self._left) > _REMEMBERED:
            self._left.popitem(last=False)

    def _now(self, caller: Hashable) -> float:
        now_ns = self._clock.monotonic_ns()
        left, at_ns = self._left.get(caller, (float(self._rate.burst), now_ns))
        return min(self._rate.burst, left + (now_ns - at_ns) / _NS * self._rate.a_second)


class AtOnce:
    """So many requests of one caller under way. For one event loop."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._under_way: Counter[Hashable] = Counter()

    @contextmanager
    def one(self, caller: Hashable) -> Iterator[None]:
        """Raises HTTPException 429."""
        if self._under_way[caller] >= self._most:
            raise too_many(f"{self._most} such requests of yours are under way", 1)
        self._under_way[caller] += 1
        try:
            yield
        finally:
            self._under_way[caller] -= 1
            if not self._under_way[caller]:
                del self._under_way[caller]


def too_many(words: str, wait_s: int) -> HTTPException:
    """429, with when to come back."""
    detail = f"{words}: ask again in {wait_s} s"
    headers = {"Retry-After": str(wait_s)}
    return HTTPException(HTTPStatus.TOO_MANY_REQUESTS, detail, headers=headers)
