"""The plan: what is measured after what, in which ward."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.harness.record import Cell, Figure
from benchmarks.harness.workload import Phase, Progress, Step
from benchmarks.peers.held import HeldLeftIn, HeldTapped
from benchmarks.peers.pam_p11 import InstalledPamP11, PamP11
from benchmarks.peers.pam_pkcs11 import InstalledPamPkcs11, PamPkcs11
from benchmarks.peers.peer import Bench, Peer, Signed, measured, version_of
from benchmarks.peers.pkcs11_tool import CachedPkcs11Tool, Pkcs11Tool
from benchmarks.peers.yubico import YubicoPivTool
from benchmarks.sign_on import bigdirectory
from benchmarks.sign_on.figures import NAME
from benchmarks.sign_on.house import FOLDER, SIMULATED, House, OnTap, open_house
from benchmarks.sign_on.lane import PAIRS, Lane
from benchmarks.sign_on.specs import (
    FULL,
    KEY_WORDS,
    OTHERS,
    P256,
    PROFILE_WORDS,
    QUICK,
    RSA,
    SLOTTED,
    SLOWED,
    WARM_UP_TAPS,
    Sizes,
    Spec,
    State,
    besides,
    in_lanes,
)
from benchmarks.ward.people import Member
from contract.signing import CardAlgorithm

PEERS: Final[tuple[tuple[type[Peer], int], ...]] = (
    (PamP11, 50),
    (PamPkcs11, 50),
    (CachedPkcs11Tool, 50),
    (Pkcs11Tool, 50),
    (HeldTapped, 50),
    (HeldLeftIn, 50),
    (YubicoPivTool, 50),
    (InstalledPamP11, 15),
    (InstalledPamPkcs11, 15),
)
"""With the number of runs. The two as installed are there for whoever does not tune."""

QUICK_PEERS: Final[tuple[tuple[type[Peer], int], ...]] = ((PamP11, 15), (PamPkcs11, 15))
RSA_RUNS: Final = 10
_WARM_UP: Final = 3
READERS_A_PAIR: Final = 2
_RUN_S: Final = {PamP11: 0.65, PamPkcs11: 0.7, HeldLeftIn: 0.12, YubicoPivTool: 0.22}
_WARD_S: Final = 20.0
_BIG_S: Final = 60.0


def quick_plan() -> list[Step]:
    """The headline, beside two peers."""
    work = Work([[Spec()]], QUICK, QUICK_PEERS)
    return [Step("warm taps, and two peers with the same card", work.expected_s, work)]


def full_plan() -> list[Step]:
    """All of it: two terminals at a time, then the peers alone."""
    million, offline = Spec(State.MILLION), Spec(State.OFFLINE)
    rsa_peers = tuple((peer, RSA_RUNS) for peer, _ in PEERS)
    plan = {
        "warm taps, slowed flushes, 1.1 million entitlements; peers with the same card": Work(
            [[Spec(), *SLOWED], [million, *besides(State.MILLION)]], FULL, PEERS
        ),
        "offline": Work([[offline], besides(State.OFFLINE)], FULL),
        "every profile and key, first of shift; peers with RSA-2048": Work(
            in_lanes((*OTHERS, *SLOTTED), 2), FULL, rsa_peers, RSA
        ),
    }
    return [Step(title, work.expected_s, work) for title, work in plan.items()]


def _peers_s(peers: Sequence[tuple[type[Peer], int]]) -> float:
    return sum(_RUN_S.get(peer, 0.9) * (runs + _WARM_UP) + 0.5 for peer, runs in peers)


class _Count(OnTap):
    """Tells the harness how far a step is; ``of`` is what it will come to."""

    def __init__(self, progress: Progress, of: int) -> None:
        self._progress = progress
        self._done, self._of = 0, of

    def __call__(self) -> None:
        self._done += 1
        self._progress.done(self._done, self._of)

    def warming(self) -> None:
        self._progress.phase(Phase.WARM_UP)

    def measuring(self) -> None:
        self._progress.phase(Phase.MEASURED)


class _CountTogether(_Count):
    """Several lanes at once are measuring from the first to the last."""

    def warming(self) -> None:
        """Not told: another lane measures."""

    def measuring(self) -> None:
        """Likewise."""


@dataclass(frozen=True, slots=True)
class Work:
    """A step: cells at one terminal a lane, all lanes at once; then peers, one after the other.

    A tap is a tenth of a second of waiting for the card and a hundredth of work, so that two
    terminals on two cores seldom meet; whether they do is seen in the software time.
    """

    lanes: Sequence[Sequence[Spec]]
    sizes: Sizes
    peers: Sequence[tuple[type[Peer], int]] = ()
    peers_key: CardAlgorithm = P256

    @property
    def specs(self) -> list[Spec]:
        """Of every lane."""
        return [spec for lane in self.lanes for spec in lane]

    @property
    def expected_s(self) -> float:
        """About, on a quiet machine."""
        big = any(spec.state is State.MILLION for spec in self.specs)
        slower = 1.0 if self.peers_key is P256 else 1.25
        longest = max(self.sizes.seconds(lane) for lane in self.lanes)
        return _WARD_S + _BIG_S * big + longest + slower * _peers_s(self.peers)

    def __call__(self, progress: Progress) -> Iterator[Cell]:
        """Raises WardError, NotReady."""
        progress.phase(Phase.SET_UP)
        taps = sum(self.sizes.of(spec) + WARM_UP_TAPS for spec in self.specs)
        counting = _Count if len(self.lanes) == 1 else _CountTogether
        count = counting(progress, taps + sum(runs for _, runs in self.peers))
        names = [f"bay-{number + 1}" for number in range(len(self.lanes))]
        with open_house(names) as house:
            yield from self._taps(progress, house, dict(zip(names, self.lanes, strict=True)), count)
            member = house.crew(Spec(key=self.peers_key))[0] if self.peers else None
            if member is not None:
                yield from _beside(progress, house, member, self, count)

    def _taps(
        self, progress: Progress, house: House, lanes: dict[str, Sequence[Spec]], count: OnTap
    ) -> Iterator[Cell]:
        house.hire({spec.key for spec in self.specs} | {self.peers_key}, self.specs)
        for name, specs in lanes.items():
            if any(spec.state is State.MILLION for spec in specs):
                held = bigdirectory.fill(house.ward[name], house.ward, bigdirectory.cached(FOLDER))
                progress.say(f"{name} holds {held:,} entries")
        with ThreadPoolExecutor(len(lanes)) as together, ExitStack() as shifts:
            opened = {name: house.lane(name, _keys(specs)) for name, specs in lanes.items()}
            begun = together.map(shifts.enter_context, opened.values())
            at = dict(zip(lanes, begun, strict=True))
            if any(spec.state is State.OFFLINE for spec in self.specs):
                _cut_off(house)
            if len(lanes) > 1:
                progress.phase(Phase.MEASURED)
            going = [
                together.submit(self._lane, house, at[name], specs, count)
                for name, specs in lanes.items()
            ]
            for done in as_completed(going):
                yield from done.result()

    def _lane(self, house: House, lane: Lane, specs: Sequence[Spec], count: OnTap) -> list[Cell]:
        return [house.cell(lane, spec, self.sizes, count) for spec in specs]


def _keys(specs: Sequence[Spec]) -> list[CardAlgorithm]:
    return sorted({spec.key for spec in specs if not spec.first})


def _cut_off(house: House) -> None:
    """The broker is gone, and every terminal knows."""
    glasses = [terminal.glass for terminal in house.ward.terminals.values()]
    marks = [glass.mark() for glass in glasses]
    house.ward.broker.kill()
    for glass, mark in zip(glasses, marks, strict=True):
        glass.wait(lambda view: view["link"] == "offline", mark)


def _beside(
    progress: Progress,
    house: House,
    member: Member,
    work: Work,
    on_run: Callable[[], None],
) -> Iterator[Cell]:
    """The peers, in a reader of the first terminal; everything of ours is shut meanwhile.

    The other readers are unplugged: OpenSC looks into each, and the slower for more of them.
    """
    progress.phase(Phase.SET_UP)
    house.ward.gateway.stop()
    house.ward.broker.kill()
    for terminal in house.ward.terminals.values():
        terminal.glass.__exit__()
        terminal.process.stop()
    terminal = house.ward["bay-1"]
    terminal.pcscd.restart(without=PAIRS[1:])
    bench = Bench(
        box=house.ward.box,
        readers=terminal.contactless[:READERS_A_PAIR],
        member=member,
        profile="typical",
        environment=terminal.pcscd.environment,
        home=house.ward.folder / "peers",
    )
    for kind, runs in work.peers:
        yield _peer(progress, kind(bench), runs, work.peers_key, on_run)


def _peer(
    progress: Progress, peer: Peer, runs: int, key: CardAlgorithm, on_run: Callable[[], None]
) -> Cell:
    command = peer.command.replace(str(Path.cwd()), ".")
    progress.say(f"{peer.name}: {command}")
    with peer.bench.card_in() if peer.card_stays else nullcontext(), peer:
        progress.phase(Phase.WARM_UP)
        measured(peer, _WARM_UP)
        progress.phase(Phase.MEASURED)
        signed = measured(peer, runs, lambda _: on_run())
        progress.phase(Phase.SET_UP)
    return _peer_cell(peer, key, command, signed)


def _peer_cell(peer: Peer, key: CardAlgorithm, command: str, signed: Sequence[Signed]) -> Cell:
    figures = (
        Figure("total", "ms", peer.starts, peer.ends, tuple(one.total_ms for one in signed)),
        Figure(
            "beyond the card",
            "ms",
            peer.starts,
            f"{peer.ends}; less the card's own time",
            tuple(one.total_ms - one.card_ms for one in signed),
        ),
        Figure(
            "card",
            "ms",
            "a command has arrived at the card",
            "its answer leaves; all exchanges, by the card's own record",
            tuple(one.card_ms for one in signed),
        ),
        Figure(
            "total ÷ card",
            "×",
            "as total",
            "as card",
            tuple(one.total_ms / one.card_ms for one in signed),
        ),
    )
    exchanges = sum(one.exchanges for one in signed) / len(signed)
    return Cell(
        workload=NAME,
        name=f"{peer.name}, {PROFILE_WORDS[peer.bench.profile]}, {KEY_WORDS[key]}",
        parameters={"profile": PROFILE_WORDS[peer.bench.profile], "key": KEY_WORDS[key]},
        figures=figures,
        counts={"exchanges": exchanges},
        facts={
            "command": command,
            "configuration": peer.about,
            "version": f"{peer.package} {version_of(peer.package)}",
            "simulated": SIMULATED,
        },
        peer=peer.name,
    )
