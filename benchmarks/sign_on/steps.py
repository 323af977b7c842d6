"""The plan: what is measured after what, in which ward."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
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
    (InstalledPamP11, 25),
    (InstalledPamPkcs11, 25),
)
"""With the number of runs. The two as installed are there for whoever does not tune."""

QUICK_PEERS: Final[tuple[tuple[type[Peer], int], ...]] = ((PamP11, 15), (PamPkcs11, 15))
RSA_RUNS: Final = 20
_WARM_UP: Final = 3
_RUN_S: Final = {PamP11: 0.65, PamPkcs11: 0.7, HeldLeftIn: 0.12, YubicoPivTool: 0.22}
_WARD_S: Final = 25.0
_BIG_S: Final = 60.0


def quick_plan() -> list[Step]:
    """The headline, beside two peers."""
    specs = (Spec(),)
    expected_s = _WARD_S + QUICK.seconds(specs) + _peers_s(QUICK_PEERS)
    work = partial(_warm, specs=specs, sizes=QUICK, peers=QUICK_PEERS)
    return [Step("warm taps, and two peers with the same card", expected_s, work)]


def full_plan() -> list[Step]:
    """All of it."""
    warm = (Spec(), *SLOWED)
    offline = (Spec(State.OFFLINE), *besides(State.OFFLINE))
    million = (Spec(State.MILLION), *besides(State.MILLION))
    lanes = in_lanes((*OTHERS, *SLOTTED), 2)
    rsa_peers = tuple((peer, RSA_RUNS) for peer, _ in PEERS)
    return [
        Step(
            "warm taps, slowed flushes, and peers with the same card",
            _WARD_S + FULL.seconds(warm) + _peers_s(PEERS),
            partial(_warm, specs=warm, sizes=FULL, peers=PEERS),
        ),
        Step(
            "offline",
            _WARD_S + 10.0 + FULL.seconds(offline),
            partial(_offline, specs=offline, sizes=FULL),
        ),
        Step(
            "1.1 million entitlements",
            _WARD_S + _BIG_S + FULL.seconds(million),
            partial(_million, specs=million, sizes=FULL),
        ),
        Step(
            "every profile and key, first of shift, and peers with RSA-2048",
            _WARD_S + 10.0 + FULL.seconds(lanes[0]) + 1.3 * _peers_s(rsa_peers),
            partial(_every, lanes=lanes, sizes=FULL, peers=rsa_peers),
        ),
    ]


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
    """Two lanes at once are measuring from the first to the last."""

    def warming(self) -> None:
        """Not told: the other lane measures."""

    def measuring(self) -> None:
        """Likewise."""


def _taps(specs: Sequence[Spec], sizes: Sizes) -> int:
    return sum(sizes.of(spec) + 6 for spec in specs)


def _keys(specs: Sequence[Spec]) -> list[CardAlgorithm]:
    return sorted({spec.key for spec in specs if not spec.first})


def _warm(
    progress: Progress,
    specs: Sequence[Spec],
    sizes: Sizes,
    peers: Sequence[tuple[type[Peer], int]],
) -> Iterator[Cell]:
    progress.phase(Phase.SET_UP)
    count = _Count(progress, _taps(specs, sizes) + sum(runs for _, runs in peers))
    with open_house() as house:
        with house.lane("bay-1", (P256,)) as lane:
            for spec in specs:
                yield house.cell(lane, spec, sizes, count)
        yield from _beside(progress, house, house.crew(Spec())[0], P256, peers, count)


def _offline(progress: Progress, specs: Sequence[Spec], sizes: Sizes) -> Iterator[Cell]:
    progress.phase(Phase.SET_UP)
    count = _Count(progress, _taps(specs, sizes))
    with open_house() as house:
        house.hire()
        with house.lane("bay-1", _keys(specs)) as lane:
            house.ward.broker.kill()
            lane.terminal.glass.wait(lambda view: view["link"] == "offline")
            for spec in specs:
                yield house.cell(lane, spec, sizes, count)


def _million(progress: Progress, specs: Sequence[Spec], sizes: Sizes) -> Iterator[Cell]:
    progress.phase(Phase.SET_UP)
    source = bigdirectory.cached(FOLDER)
    count = _Count(progress, _taps(specs, sizes))
    with open_house() as house:
        house.hire()
        terminal = house.ward["bay-1"]
        held = bigdirectory.fill(terminal, house.ward, source)
        terminal.glass.wait(lambda view: view["link"] == "online", terminal.glass.mark() - 1)
        with house.lane("bay-1", _keys(specs)) as lane:
            for spec in specs:
                cell = house.cell(lane, spec, sizes, count)
                facts = {
                    **cell.facts,
                    "directory": f"{held:,} entries on disk",
                    "terminal VmRSS": f"{terminal.footprint()['rss_mb']:g} MB",
                }
                yield replace(cell, facts=facts)


def _every(
    progress: Progress,
    lanes: Sequence[Sequence[Spec]],
    sizes: Sizes,
    peers: Sequence[tuple[type[Peer], int]],
) -> Iterator[Cell]:
    """Two terminals at a time.

    Each tap is a tenth of a second of waiting for a hundredth of work, and no headline is here.
    """
    progress.phase(Phase.SET_UP)
    taps = sum(_taps(specs, sizes) for specs in lanes)
    count = _CountTogether(progress, taps + sum(runs for _, runs in peers))
    names = [f"bay-{number + 1}" for number in range(len(lanes))]
    with open_house(names) as house:
        house.hire()
        progress.phase(Phase.MEASURED)
        with ThreadPoolExecutor(len(lanes)) as together:
            going = [
                together.submit(_one_lane, house, name, specs, sizes, count)
                for name, specs in zip(names, lanes, strict=True)
            ]
            for done in as_completed(going):
                yield from done.result()
        yield from _beside(progress, house, house.crew(Spec(key=RSA))[0], RSA, peers, count)


def _one_lane(
    house: House, terminal: str, specs: Sequence[Spec], sizes: Sizes, on_tap: OnTap
) -> list[Cell]:
    with house.lane(terminal, (P256, RSA)) as lane:
        return [house.cell(lane, spec, sizes, on_tap) for spec in specs]


def _beside(
    progress: Progress,
    house: House,
    member: Member,
    key: CardAlgorithm,
    peers: Sequence[tuple[type[Peer], int]],
    on_run: Callable[[], None],
) -> Iterator[Cell]:
    """The peers, in the readers of the first terminal; the terminals are shut meanwhile."""
    progress.phase(Phase.SET_UP)
    for terminal in house.ward.terminals.values():
        terminal.glass.__exit__()
        terminal.process.stop()
    terminal = house.ward["bay-1"]
    bench = Bench(
        box=house.ward.box,
        readers=terminal.contactless,
        member=member,
        profile="typical",
        environment=terminal.pcscd.environment,
        home=house.ward.folder / "peers",
    )
    for kind, runs in peers:
        yield _peer(progress, kind(bench), runs, key, on_run)


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
