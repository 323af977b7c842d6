"""Which cells there are: states, profiles, keys, flushes; and how many taps each is worth."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from benchmarks.harness.record import Parameter
from contract.signing import Algorithm, CardAlgorithm

KEY_WORDS: Final[dict[CardAlgorithm, str]] = {
    Algorithm.P256: "P-256",
    Algorithm.RSA2048: "RSA-2048",
}
PROFILE_WORDS: Final = {
    "instant": "instant",
    "fast": "fast contact",
    "typical": "typical contactless",
    "slow": "slow contactless",
}
WARM_UP_TAPS: Final = 6
"""Before a cell's first that counts: each of the crew once."""

P256: Final[CardAlgorithm] = Algorithm.P256
RSA: Final[CardAlgorithm] = Algorithm.RSA2048


class State(StrEnum):
    """How the terminal stands."""

    WARM = "warm"
    """Online, PIN proved earlier in the shift, the ward's own few entitlements."""
    OFFLINE = "offline"
    MILLION = "1.1 million entitlements"


@dataclass(frozen=True, slots=True)
class Spec:
    """One cell of ours."""

    state: State = State.WARM
    profile: str = "typical"
    key: CardAlgorithm = P256
    first: bool = False
    """With PIN in the contact slot."""
    slowed_ms: int = 0
    """Longer for each flush."""

    @property
    def name(self) -> str:
        """Unique within the benchmark."""
        parts = [str(self.state), PROFILE_WORDS[self.profile], KEY_WORDS[self.key]]
        if self.first:
            parts.insert(1, "first of shift")
        if self.slowed_ms:
            parts.append(f"flushes slowed by {self.slowed_ms} ms")
        return ", ".join(parts)

    @property
    def parameters(self) -> dict[str, Parameter]:
        """For whoever sorts cells."""
        return {
            "state": str(self.state),
            "profile": PROFILE_WORDS[self.profile],
            "key": KEY_WORDS[self.key],
            "first of shift": self.first,
            "flushes slowed, ms": self.slowed_ms,
        }

    @property
    def tap_s(self) -> float:
        """About how long one takes, the virtual reader's polling included."""
        card_s = {"instant": 0.0, "fast": 0.06, "typical": 0.14, "slow": 0.26}[self.profile]
        if self.key is RSA:
            card_s *= 2.5
        return 0.42 + self.slowed_ms / 1000 + card_s * (2.5 if self.first else 1.0)


HEADLINES: Final = (Spec(), Spec(State.OFFLINE), Spec(State.MILLION))
SLOWED: Final = tuple(Spec(slowed_ms=by) for by in (5, 20, 50))
SLOTTED: Final = tuple(
    Spec(profile=profile, key=key, first=True)
    for profile in ("instant", "fast")
    for key in (P256, RSA)
)
"""A contact slot makes no card contactless: the two profiles that lie in one."""

OTHERS: Final = tuple(
    spec
    for profile in PROFILE_WORDS
    for key in (P256, RSA)
    if (spec := Spec(profile=profile, key=key)) not in HEADLINES
)


def besides(state: State) -> tuple[Spec, ...]:
    """What is measured in a state besides its headline."""
    return (
        *(Spec(state, profile) for profile in ("fast", "slow")),
        Spec(state, key=RSA),
        Spec(state, "fast", first=True),
    )


@dataclass(frozen=True, slots=True)
class Sizes:
    """Taps a cell."""

    headline: int
    other: int

    def of(self, spec: Spec) -> int:
        """For one."""
        return self.headline if spec in HEADLINES else self.other

    def seconds(self, specs: Iterable[Spec]) -> float:
        """About how long these take, one after the other."""
        return sum(spec.tap_s * (self.of(spec) + WARM_UP_TAPS) for spec in specs)


FULL: Final = Sizes(headline=500, other=50)
QUICK: Final = Sizes(headline=64, other=10)


def in_lanes(specs: Sequence[Spec], lanes: int) -> list[list[Spec]]:
    """Parted so that the lanes take about as long."""
    parted: list[list[Spec]] = [[] for _ in range(lanes)]
    for spec in sorted(specs, key=lambda one: -one.tap_s):
        min(parted, key=lambda lane: sum(one.tap_s for one in lane)).append(spec)
    return parted
